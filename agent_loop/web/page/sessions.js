// The apps made in this browser: whoever holds a key holds the app, so the keys stay here.

const PLACE = "mk0r.sessions";

export function all() {
  try {
    const kept = JSON.parse(localStorage.getItem(PLACE) ?? "[]");
    return Array.isArray(kept) ? kept.filter((one) => one.slug && one.key) : [];
  } catch {
    return [];
  }
}

export function keep(session) {
  write([session, ...all().filter((one) => one.slug !== session.slug)]);
}

export function rename(slug, idea) {
  write(all().map((one) => (one.slug === slug ? { ...one, idea } : one)));
}

export function forget(slug) {
  write(all().filter((one) => one.slug !== slug));
}

function write(sessions) {
  try {
    localStorage.setItem(PLACE, JSON.stringify(sessions));
  } catch {
    // A browser that keeps nothing still shows this app.
  }
}
