/** The steps of a claim that stands; they come with the basket's screen. */
import { basket } from './basket.svelte';
import { ask } from './graphql';
import { ClaimNow, ConfirmClaim, ReleaseClaim, RenewClaim } from './steps';

const id = () => basket.claim!.id;

export const confirm = () => basket.step(async () => (await ask(ConfirmClaim, { id: id() })).confirmClaim);
export const renew = () => basket.step(async () => (await ask(RenewClaim, { id: id() })).renewClaim);
export const release = () => basket.step(async () => (await ask(ReleaseClaim, { id: id() })).releaseClaim);

/** What has become of the claim since it was last looked at, here or elsewhere; unheard, it is as it was. */
export async function refresh(): Promise<void> {
	const known = basket.claim;
	if (known) await basket.step(async () => (await ask(ClaimNow, { id: known.id }).catch(() => null))?.claim ?? known);
}
