/** What is asked on the way in; apart from the other questions, because most visitors never need it. */
import { graphql } from './graphql';

export const SignUp = graphql(`
	mutation SignUp($input: SignUpInput!) {
		signUp(input: $input)
	}
`);

export const ConfirmSignUp = graphql(`
	mutation ConfirmSignUp($token: String!) {
		confirmSignUp(token: $token) { __typename }
	}
`);

export const AcceptInvitation = graphql(`
	mutation AcceptInvitation($token: String!, $password: String) {
		acceptInvitation(token: $token, password: $password) { __typename }
	}
`);

export const RequestPasswordReset = graphql(`
	mutation RequestPasswordReset($email: String!) {
		requestPasswordReset(email: $email)
	}
`);

export const ResetPassword = graphql(`
	mutation ResetPassword($token: String!, $password: String!) {
		resetPassword(token: $token, password: $password) { __typename }
	}
`);

export const WaysIn = graphql(`query WaysIn { waysIn { singleSignOn } }`);

export const SignIn = graphql(`
	mutation SignIn($email: String!, $password: String!) {
		signIn(email: $email, password: $password) { __typename }
	}
`);
