import './styles/tokens.css';
import './styles/base.css';
import { mount } from 'svelte';
import App from './App.svelte';
import { pressesOnce } from './guard/settling';
import { preferred, speak } from './i18n/texts.svelte';
import { nexus } from './state/nexus.svelte';
import { preferences } from './state/preferences.svelte';

const target = document.getElementById('app');
if (target) {
  preferences.apply();
  pressesOnce();
  await speak(preferred());
  nexus.start();
  mount(App, { target });
}
