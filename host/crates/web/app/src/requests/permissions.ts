// How a permission is called, and what `*` covers.

import { known, t } from '../i18n/texts.svelte';

export const permission = (name: string): string => known(`permission.${name}`) ?? t('permission.other', name);
export const every = (name: string): string => known(`every.${name}`) ?? t('every.other', name);
