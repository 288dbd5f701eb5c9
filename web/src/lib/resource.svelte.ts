// What a page shows of the server, kept by TanStack Query beneath a small interface: the last data stays,
// dimmed, while the next comes; data seen before is there at once on Back; what two parts of a page both
// ask for is asked once. Polls only while the page is visible, and goes on when the network is back.
import { keepPreviousData, QueryClient, QueryObserver } from '@tanstack/svelte-query'
import { Failure } from './api'
import { keeps } from './session.svelte'

const client = new QueryClient({
  defaultOptions: {
    queries: { retry: false, staleTime: 0, gcTime: 10 * 60_000, networkMode: 'always', refetchOnReconnect: 'always', refetchOnWindowFocus: true },
  },
})

client.mount() // it hears of the window's focus and of the network

// Another person's data is nobody's; after a new sign-in what is on the page is asked for again.
keeps({ forget: () => client.clear(), refresh: () => void client.invalidateQueries() })

export interface Resource<T> {
  readonly data: T | undefined
  readonly error: Failure | undefined
  readonly busy: boolean
  readonly at: number // when the data came, ms; 0 before
  reload(): void
}

// `key` is the call, and names the data: two resources of one key have one `load`. null: nothing yet.
export function resource<T>(
  key: () => string | null,
  load: (key: string, o: { signal: AbortSignal; poll: boolean }) => Promise<T>,
  pollMs = 0,
): Resource<T> {
  let data = $state.raw<T | undefined>()
  let error = $state.raw<Failure | undefined>()
  let busy = $state(false)
  let at = $state(0)
  let observer: QueryObserver<T, Failure> | undefined

  const options = (k: string) => ({
    queryKey: [k],
    queryFn: async ({ signal }: { signal: AbortSignal }) => {
      const poll = pollMs > 0 && client.getQueryData([k]) !== undefined
      try {
        return await load(k, { signal, poll })
      } catch (e) {
        throw e instanceof Failure || signal.aborted ? e : new Failure(0, '', String(e), '')
      }
    },
    refetchInterval: pollMs || (false as const),
    placeholderData: keepPreviousData as never,
  })
  $effect(() => {
    const k = key()
    if (k === null) return
    if (observer) observer.setOptions(options(k))
    else observer = new QueryObserver<T, Failure>(client, options(k))
    const show = (r: ReturnType<QueryObserver<T, Failure>['getCurrentResult']>) => {
      // What one may not see, or what is gone, is not shown on.
      const gone = r.error?.status === 403 || r.error?.status === 404
      data = gone ? undefined : r.data
      error = r.error ?? undefined
      busy = r.isFetching
      at = r.dataUpdatedAt
    }
    const stop = observer.subscribe(show)
    show(observer.getCurrentResult())
    return stop
  })
  return {
    get data() { return data },
    get error() { return error },
    get busy() { return busy },
    get at() { return at },
    reload: () => void observer?.refetch(),
  }
}
