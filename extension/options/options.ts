/** The options page: the profile and the relay's address, both kept on this device. */

import { startProfileForm } from './profile-form.ts'
import { startRelayForm } from './relay-form.ts'

await Promise.all([startProfileForm(), startRelayForm()])
document.body.dataset.ready = 'true'
