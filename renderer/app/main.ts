import '../styles/index.css';
import { mount } from 'svelte';
import { connect } from '../../preload/contract/client.ts';
import App from './App.svelte';

mount(App, { target: document.getElementById('app')!, props: { app: connect(window.afterimage) } });
