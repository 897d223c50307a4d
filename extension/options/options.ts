/** The options page: the profile and the relay's address, both kept on this device; and what of the runs may leave it. */

import { startProfileForm } from './profile-form.ts'
import { startRelayForm } from './relay-form.ts'
import { startSentForm } from './sent-form.ts'

await Promise.all([startProfileForm(), startRelayForm(), startSentForm()])
document.body.dataset.ready = 'true'
