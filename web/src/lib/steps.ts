/** What is asked of a claim that stands. */
import { graphql } from './graphql';
import { ClaimView } from './operations';

export const ClaimNow = graphql(`query ClaimNow($id: ID!) { claim(id: $id) { ...ClaimView } }`, [ClaimView]);
export const ConfirmClaim = graphql(`mutation ConfirmClaim($id: ID!) { confirmClaim(id: $id) { ...ClaimView } }`, [ClaimView]);
export const RenewClaim = graphql(`mutation RenewClaim($id: ID!) { renewClaim(id: $id) { ...ClaimView } }`, [ClaimView]);
export const ReleaseClaim = graphql(`mutation ReleaseClaim($id: ID!) { releaseClaim(id: $id) { ...ClaimView } }`, [ClaimView]);
