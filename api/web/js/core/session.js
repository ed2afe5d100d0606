// Where keys are on: who is logged in, and a way out.

import { get, hooks, request } from "./api.js";
import { go } from "./router.js";

/** Asks who is logged in, and shows the way out if there is one. Null while the server is away. */
export async function showSession() {
  const logout = document.getElementById("logout");
  let session;
  try {
    session = await get("/v1/session");
  } catch {
    return null; // the view will say what is wrong
  }
  logout.hidden = !(session.keys_required && session.owner);
  logout.onclick = async () => {
    await request("/v1/session", { method: "DELETE" });
    logout.hidden = true;
    go("/login");
  };
  if (session.keys_required && !session.owner) hooks.onUnauthorized();
  return session;
}
