import { formats } from './format';
import { id, type Words } from './words/id';

export type Lang = 'id' | 'en';

const KEPT = 'salur.lang';
const FORMS = { id: formats('id'), en: formats('en') };

let lang = $state<Lang>('id');
let words = $state.raw<Words>(id);

/** The words and the forms of numbers of the chosen language. Those of the first language come with the page. */
export const i18n = {
	get lang(): Lang {
		return lang;
	},
	get t(): Words {
		return words;
	},
	get f() {
		return FORMS[lang];
	},
	/** As the API names the language. */
	get locale(): 'ID' | 'EN' {
		return lang === 'id' ? 'ID' : 'EN';
	},
	/** Words that cannot be had leave the page in the language that it speaks. */
	async speak(chosen: Lang): Promise<void> {
		const spoken = chosen === 'id' ? id : await import('./words/en').then(({ en }) => en, () => null);
		if (!spoken) return;
		[lang, words] = [chosen, spoken];
		localStorage.setItem(KEPT, chosen);
		document.documentElement.lang = chosen;
	},
	/** The language of the last visit. */
	start(): Promise<void> {
		return this.speak(localStorage.getItem(KEPT) === 'en' ? 'en' : 'id');
	},
};
