// What start.ts has asked before the program was there, with the whole text.
type Answer = Pick<Response, 'ok' | 'status' | 'headers' | 'text'>
interface Window {
  early?: { until: number; replies: Record<string, Promise<Answer>> }
}
