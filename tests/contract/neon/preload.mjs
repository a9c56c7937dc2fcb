// Leads what the unmodified driver asks of Neon's hosts to a service without a host name of its own: SQL over HTTP
// and WebSockets. The driver looks both up when it uses them, so nothing of it is changed.
const { NEON_ORIGIN: origin } = process.env

if (origin) {
  const { fetch, WebSocket } = globalThis
  globalThis.fetch = (address, options) => {
    const headers = new Headers(options?.headers)
    return fetch(headers.has("Neon-Connection-String") ? `${origin}/sql` : address, options)
  }
  globalThis.WebSocket = class extends WebSocket {
    constructor(address, ...rest) {
      super(/\/v2(\?|$)/.test(String(address)) ? `${origin.replace(/^http/, "ws")}/v2` : address, ...rest)
    }
  }
}
