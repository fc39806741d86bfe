import { mount } from "svelte";

import App from "./App.svelte";
import "./app.css";
import { takeKeyFromAddress } from "./lib/session.svelte";

takeKeyFromAddress();
mount(App, { target: document.getElementById("app")! });
