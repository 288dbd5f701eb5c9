// Read-only mode, as the server's replies tell it: said once for the whole console. What would change
// something can not be used meanwhile, and says why: `<button {...locked()}>`.
import { t } from './i18n'

export const mode = $state({ readOnly: false })
export const locked = () => (mode.readOnly ? { disabled: true, title: t('error.read_only') } : {})
