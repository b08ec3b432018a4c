/** The words of the sign-in; they load with it. */
const id = {
	title: 'Masuk ke Salur',
	intro: 'Petunjuk demo menampilkan kunci API. Kunci hanya disimpan di tab ini.',
	email: 'Alamat surel',
	password: 'Kata sandi',
	wrongPassword: 'Alamat atau kata sandi salah.',
	withKey: 'Masuk dengan kunci API',
	goKey: 'Pakai kunci',
	key: 'Kunci API',
	go: 'Masuk',
	wrong: 'Kunci tidak dikenal, kedaluwarsa, atau dicabut.',
	forgotten: 'Lupa kata sandi?',
	signUp: 'Daftarkan lembaga',
	singleSignOn: 'Masuk dengan akun kota',
	orAddress: 'Atau dengan alamat surel:',
};

const en: typeof id = {
	title: 'Sign in to Salur',
	intro: "The demo's guide shows API keys. A key is kept in this tab only.",
	email: 'E-mail address',
	password: 'Password',
	wrongPassword: 'The address or the password is wrong.',
	withKey: 'Sign in with an API key',
	goKey: 'Use the key',
	key: 'API key',
	go: 'Sign in',
	wrong: 'The key is unknown, expired or revoked.',
	forgotten: 'Forgotten the password?',
	signUp: 'Sign an organisation up',
	singleSignOn: "Sign in with your city's account",
	orAddress: 'Or with an e-mail address:',
};

export const signInWords = { id, en };
