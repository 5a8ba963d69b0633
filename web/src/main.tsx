import { render } from "preact";
import { App } from "./app";
import "./style.css";
import { startSession } from "./web3/session";

const root = document.getElementById("app");
if (root) {
  render(<App />, root);
  void startSession();
}
