// What was just done, in the corner, with a way back where there is one. It goes by itself, but not
// while someone points at it or stands on it.
import type { Failure } from './api'

export interface Toast { id: number; text: string; bad: boolean; action?: { text: string; run: () => void } }
export const toasts = $state<Toast[]>([])
let last = 0

export function toast(text: string, action?: Toast['action'], bad = false): number {
  const id = ++last
  toasts.push(action ? { id, text, bad, action } : { id, text, bad })
  if (toasts.length > 3) toasts.shift()
  return id
}
export const toastFailure = (e: Failure, action?: Toast['action']) => toast(e.message, action, true)
export function dismiss(id: number) {
  const i = toasts.findIndex((x) => x.id === id)
  if (i >= 0) toasts.splice(i, 1)
}
