#!/usr/bin/env node
// A voicemux client for text and PCM sound, with nothing but Node. README.md says how it is run.
// It is meant to be read beside ../protocol.md: first wire.mjs, the bytes; then call.mjs, what happens in a call,
// encrypted.mjs, who is who, text.mjs, sound.mjs and pulse.mjs. This file is the command line.

import net from 'node:net'
import { parseArgs } from 'node:util'
import { Call, talking } from './call.mjs'
import { Identity } from './encrypted.mjs'
import { Code, note } from './wire.mjs'

const { values: options, positionals: [role, ...address] } = parseArgs({
  allowPositionals: true,
  options: {
    name: { type: 'string', default: 'stranger' }, // what the other side sees
    once: { type: 'boolean' }, // listen for one call
    plain: { type: 'boolean' }, // no encryption
    key: { type: 'string', default: 'key.pem' }, // our key and certificate, made if it is missing
    'key-of-peer': { type: 'string' }, // a fingerprint: call or admit only this one
    audio: { type: 'boolean' }, play: { type: 'string' }, record: { type: 'string' }, // speak and hear; raw PCM files
  },
})
options.identity = options.plain ? null : new Identity(options.key, options['key-of-peer'])
const [port, host] = address.reverse()
process.stdin.setEncoding('utf8').pause()
process.stdin.on('data', (data) => talking?.typed(data)).on('end', () => talking?.typed(null))
process.once('SIGINT', () => { options.once = true; talking ? talking.part(Code.NORMAL) : process.exit(130) })
if (role === 'dial') {
  const socket = options.plain ? net.connect({ host, port, allowHalfOpen: true }) : options.identity.dial(host, port)
  new Call(socket, true, options, (code) => process.exit(code))
} else {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    new Call(socket, false, options, (code) => options.once && process.exit(code))
  })
  server.listen({ port, host }, () => note(`listening on port ${server.address().port}`))
}
