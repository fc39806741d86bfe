/** The key of this tab: it comes in the address after #, and is kept until the tab is closed. */

const NAME = "likeness.key";

export const session = $state({ key: sessionStorage.getItem(NAME) ?? "" });

export function signIn(key: string): void {
  session.key = key;
  sessionStorage.setItem(NAME, key);
}

export function signOut(): void {
  session.key = "";
  sessionStorage.removeItem(NAME);
}

/** What follows # never reaches a server; it is taken out of the address, and so of the history. */
export function takeKeyFromAddress(): void {
  const key = new URLSearchParams(location.hash.slice(1)).get("key");
  if (!key) return;
  signIn(key);
  history.replaceState(null, "", location.pathname);
}
