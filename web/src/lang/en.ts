// English, a file for each part of the console. The types make a missing key an error, here and in
// every other language.
import artifact from './en/artifact.json'
import cache from './en/cache.json'
import client from './en/client.json'
import common from './en/common.json'
import compare from './en/compare.json'
import error from './en/error.json'
import job from './en/job.json'
import key from './en/key.json'
import list from './en/list.json'
import project from './en/project.json'
import projects from './en/projects.json'
import removal from './en/removal.json'
import repository from './en/repository.json'
import settings from './en/settings.json'
import shell from './en/shell.json'
import storage from './en/storage.json'
import upstream from './en/upstream.json'
import user from './en/user.json'
import wizard from './en/wizard.json'

export const english = {
  artifact, cache, client, common, compare, error, job, key, list, project, projects, removal, repository, settings, shell, storage, upstream, user, wizard,
}
export type Message = string | { zero?: string; one?: string; two?: string; few?: string; many?: string; other: string }
export type Messages = { [A in keyof typeof english]: { [K in keyof (typeof english)[A]]: Message } }
