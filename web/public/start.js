// Before anything is drawn, so that nothing flashes: the theme. And who is signed in, which the program
// asks first: the answer comes while the program does.
;(function () {
  var t = null
  try { t = localStorage.getItem('theme') } catch (e) {}
  if (t !== 'dark' && t !== 'light') t = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'
  document.documentElement.dataset.theme = t
  var path = '/api/v2.0/users/current'
  var reply = fetch(path, { credentials: 'same-origin', headers: { Accept: 'application/json' } })
  reply.catch(function () {})
  window.early = { path: path, reply: reply }
})()
