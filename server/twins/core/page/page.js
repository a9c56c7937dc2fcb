// Draws the view the twin describes. The admin token arrives in the address's fragment, which no
// browser sends anywhere, and is kept for this tab only.

const main = document.getElementById('main')
const crumbs = document.getElementById('crumbs')

const KEY = 'twin.admin'
const NAMES = { neon: 'Neon', resend: 'Resend', posthog: 'PostHog', github: 'GitHub', e2b: 'E2B', anthropic: 'Anthropic' }
const TIME = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]00(:?00)?)?$/

function takeToken() {
  const found = new URLSearchParams(location.hash.slice(1))
  if (!found.has('token')) return
  sessionStorage.setItem(KEY, found.get('token'))
  found.delete('token')
  history.replaceState(null, '', `#${found.get('at') ?? ''}`)
}

const place = () => decodeURIComponent(location.hash.slice(1))

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties)
  element.append(...children)
  return element
}

function cell(value) {
  // Vendors write times in many ways; a person reads one.
  if (TIME.test(value)) return make('time', { dateTime: value, textContent: value.slice(0, 19).replace('T', ' ') })
  if (typeof value === 'string') return value
  return make('a', { href: `#${encodeURIComponent(value.to)}`, textContent: value.text })
}

function labelled(column, value) {
  const element = make('td', {}, cell(value))
  element.dataset.column = column
  return element
}

const draw = {
  table: ({ columns, rows }) =>
    rows.length === 0
      ? make('p', { className: 'none', textContent: 'None yet.' })
      : make('div', { className: 'scroll' },
          make('table', {},
            make('thead', {}, make('tr', {}, ...columns.map((name) => make('th', { scope: 'col', textContent: name })))),
            make('tbody', {}, ...rows.map((row) => make('tr', {}, ...row.map((value, at) => labelled(columns[at], value))))))),
  facts: ({ rows }) =>
    make('dl', {}, ...rows.flatMap(([name, value]) => [make('dt', { textContent: name }), make('dd', {}, cell(value))])),
  text: ({ text }) => make('pre', { textContent: text }),
  html: ({ html, title }) => make('iframe', { title, sandbox: '', referrerPolicy: 'no-referrer', srcdoc: html }),
  image: ({ mime, base64, title }) => make('img', { alt: title, src: `data:${mime};base64,${base64}` }),
}

function show(view) {
  document.title = view.title
  crumbs.replaceChildren(...view.crumbs.map(cell))
  main.replaceChildren(
    make('h1', { textContent: view.title }),
    ...view.blocks.map((block) =>
      make('section', {}, make('h2', { textContent: block.title }), draw[block.kind](block))),
  )
}

function say(title, text) {
  main.replaceChildren(make('h1', { textContent: title }), make('p', { textContent: text }))
}

async function load() {
  takeToken()
  const token = sessionStorage.getItem(KEY)
  if (!token) return say('Locked', 'Open this page by the address that `mk0r twins` prints.')
  try {
    const answer = await fetch(`/_twin/view?at=${encodeURIComponent(place())}`, {
      headers: { authorization: `Bearer ${token}` },
    })
    if (answer.status === 401) return say('Locked', 'This address is of an earlier start. `mk0r twins` prints today’s.')
    if (answer.status === 404) return say('Nothing here', 'What was here is gone.')
    if (!answer.ok) return say('It did not work', `The twin answered ${answer.status}.`)
    show(await answer.json())
  } catch {
    say('No answer', 'The twin is not running. `mk0r twins` starts it.')
  }
}

document.getElementById('again').addEventListener('click', load)
addEventListener('hashchange', load)
const { vendor } = await (await fetch('/_twin/health')).json()
document.getElementById('home').textContent = NAMES[vendor] ?? vendor
await load()
