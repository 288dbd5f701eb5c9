// Text into the clipboard; plain HTTP has no clipboard API.
export async function clip(text: string) {
  try {
    await navigator.clipboard.writeText(text)
  } catch {
    const at = document.activeElement as HTMLElement | null
    const box = document.createElement('textarea')
    box.value = text
    document.body.append(box)
    box.select()
    document.execCommand('copy')
    box.remove()
    at?.focus({ preventScroll: true })
  }
}
