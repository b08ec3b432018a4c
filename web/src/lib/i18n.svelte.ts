import { formats } from './format';
import { en } from './words/en';
import { id, type Words } from './words/id';

export type Lang = 'id' | 'en';

const KEPT = 'salur.lang';
const WORDS: Record<Lang, Words> = { id, en };

let lang = $state<Lang>(localStorage.getItem(KEPT) === 'en' ? 'en' : 'id');

/** The words and the forms of numbers of the chosen language. */
export const i18n = {
	get lang(): Lang {
		return lang;
	},
	set lang(chosen: Lang) {
		lang = chosen;
		localStorage.setItem(KEPT, chosen);
		document.documentElement.lang = chosen;
	},
	get t(): Words {
		return WORDS[lang];
	},
	get f() {
		return FORMS[lang];
	},
	/** As the API names the language. */
	get locale(): 'ID' | 'EN' {
		return lang === 'id' ? 'ID' : 'EN';
	},
};

const FORMS = { id: formats('id'), en: formats('en') };
document.documentElement.lang = lang;
