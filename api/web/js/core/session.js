// The session, where the server requires keys.

import { get, hooks, request } from "./api.js";
import { clearDatabase } from "./database.js";

/** Loads the session and shows the log-out button if logged in. Returns null while the server is unavailable. */
export async function showSession() {
  const logout = document.getElementById("logout");
  let session;
  try {
    session = await get("/v1/session");
  } catch {
    return null; // the view reports the error
  }
  logout.hidden = !(session.keys_required && session.owner);
  logout.onclick = async () => {
    await request("/v1/session", { method: "DELETE" });
    await clearDatabase(); // the next user of this browser sees nothing of this one's
    location.assign("/login");
  };
  if (session.keys_required && !session.owner) hooks.onUnauthorized();
  return session;
}
