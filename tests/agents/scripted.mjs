// An agent that speaks the Agent Client Protocol, on its own SDK, and does what its prompts say: `[[verb …]]`, in their order.
// It is for what a real agent does not do on demand: odd options, plans, garbage, crashes, silence.
//
//   say TEXT          a chunk for each word          text n=50 rate=20   n chunks, `rate` a second
//   think TEXT        a chunk of reasoning           plan                a plan of three entries
//   tool              a call that reads a file       edit                a call with a diff, after a permission
//   ask plain|odd     a permission request; then the answer names the option
//   blocks            says the prompt's blocks as JSON
//   history           says how many prompts the session has had
//   image             an image as a piece of the answer
//   mode ID           changes the mode               title TEXT          names the session
//   spend AMOUNT      says what the session has cost in all
//   fs                asks for a file, and says the code of the error
//   garbage           lines that are no messages     long BYTES          one line of so many bytes
//   stop REASON       ends the turn for a reason     fail CODE TEXT      answers the prompt with an error
//   crash             exits with code 7              deaf MS             goes on for so long after a cancel
//
// --store FILE: sessions outlive the process, and can be loaded. --resume: and are resumed, not loaded. --no-login: every session
// is refused until somebody signs in. --plain: no images and files in prompts. --version N: another version of the protocol.
import * as acp from '@agentclientprotocol/sdk';
import fs from 'node:fs';
import { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

const args = process.argv.slice(2);
const has = (name) => args.includes(name);
const value = (name) => (has(name) ? args[args.indexOf(name) + 1] : undefined);
const store = value('--store');

const sessions = new Map();
if (store && fs.existsSync(store)) {
  for (const [id, session] of Object.entries(JSON.parse(fs.readFileSync(store, 'utf8')))) sessions.set(id, session);
}
const save = () => store && fs.writeFileSync(store, JSON.stringify(Object.fromEntries(sessions)));

const modes = (session) => ({
  currentModeId: session.mode,
  availableModes: [{ id: 'code', name: 'Code' }, { id: 'ask', name: 'Ask', description: 'Changes nothing.' }],
});
const commands = [{ name: 'repeat', description: 'Says what follows.', input: { hint: 'TEXT' } }];
const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

function find(id) {
  const session = sessions.get(id);
  if (!session) throw acp.RequestError.resourceNotFound(id);
  return session;
}

const running = new Map();

const app = acp
  .agent({ name: 'scripted' })
  .onRequest('initialize', () => ({
    protocolVersion: Number(value('--version') ?? acp.PROTOCOL_VERSION),
    agentInfo: { name: 'scripted', title: 'Scripted', version: '1.2.3' },
    authMethods: [{ id: 'key', name: 'An API key', description: 'Set SCRIPTED_KEY' }],
    agentCapabilities: {
      loadSession: Boolean(store) && !has('--resume'),
      promptCapabilities: { image: !has('--plain'), embeddedContext: !has('--plain') },
      ...(has('--resume') && { sessionCapabilities: { resume: {} } }),
    },
  }))
  .onRequest('session/new', async ({ params, client }) => {
    if (has('--no-login')) throw acp.RequestError.authRequired();
    const id = `scripted-${process.pid}-${sessions.size + 1}`;
    const session = { cwd: params.cwd, mode: 'code', messages: [] };
    sessions.set(id, session);
    save();
    // After the answer, as real agents do.
    setImmediate(() => client.notify('session/update', {
      sessionId: id,
      update: { sessionUpdate: 'available_commands_update', availableCommands: commands },
    }));
    return { sessionId: id, modes: modes(session) };
  })
  .onRequest('session/load', async ({ params, client }) => {
    const session = find(params.sessionId);
    for (const [kind, text] of session.messages) {
      await client.notify('session/update', {
        sessionId: params.sessionId,
        update: { sessionUpdate: `${kind}_message_chunk`, content: { type: 'text', text } },
      });
    }
    return { modes: modes(session) };
  })
  .onRequest('session/resume', ({ params }) => ({ modes: modes(find(params.sessionId)) }))
  .onRequest('session/set_mode', ({ params }) => {
    find(params.sessionId).mode = params.modeId;
    return {};
  })
  .onNotification('session/cancel', ({ params }) => running.get(params.sessionId)?.abort())
  .onRequest('session/prompt', async ({ params, client }) => {
    const { sessionId, prompt } = params;
    const session = find(sessionId);
    const abort = new AbortController();
    running.set(sessionId, abort);
    // What comes before it is what this session does not know: it is no order.
    const words = prompt.filter(({ type }) => type === 'text').at(-1)?.text ?? '';
    session.messages.push(['user', words]);
    const turn = { sessionId, session, prompt, client, abort, answer: '' };
    try {
      return await play(turn, words);
    } catch (error) {
      if (abort.signal.aborted) return { stopReason: 'cancelled' };
      throw error;
    } finally {
      running.delete(sessionId);
      session.messages.push(['agent', turn.answer]);
      save();
    }
  });

async function play(turn, words) {
  const { sessionId, session, prompt, client, abort } = turn;
  const update = (sessionUpdate, more) => client.notify('session/update', { sessionId, update: { sessionUpdate, ...more } });
  const say = (text) => {
    turn.answer += text;
    return update('agent_message_chunk', { content: { type: 'text', text } });
  };
  const ask = async (toolCall, options) => {
    const { outcome } = await client.request('session/request_permission', { sessionId, toolCall, options });
    return outcome.outcome === 'selected' ? outcome.optionId : outcome.outcome;
  };
  const pause = (milliseconds) => sleep(milliseconds, undefined, { signal: abort.signal });
  const plain = [
    { optionId: 'yes', name: 'Allow', kind: 'allow_once' },
    { optionId: 'always', name: 'Always allow', kind: 'allow_always' },
    { optionId: 'no', name: 'Reject', kind: 'reject_once' },
  ];
  const odd = [
    { optionId: 'yes', name: 'Yes', kind: 'allow_once' },
    { optionId: 'yes-edits', name: 'Yes, and accept edits', kind: 'allow_once' },
    { optionId: 'no', name: 'No', kind: 'reject_once' },
  ];
  const command = words.match(/^\/repeat (.*)$/);
  if (command) await say(command[1]);
  const steps = [...words.matchAll(/\[\[([a-z]+)\s*(.*?)\]\]/g)];
  if (!command && steps.length === 0) await say('done');
  for (const [, verb, rest] of steps) {
    const number = (name, otherwise) => Number(rest.match(new RegExp(`${name}=(\\d+)`))?.[1] ?? otherwise);
    switch (verb) {
      case 'say':
        for (const word of rest.split(/(?<= )/)) await say(word);
        break;
      case 'text':
        for (let n = 0; n < number('n', 50); n += 1) {
          await say(`word${n} `);
          await pause(1000 / number('rate', 20));
        }
        break;
      case 'think':
        await update('agent_thought_chunk', { content: { type: 'text', text: rest } });
        break;
      case 'plan': {
        const entries = ['completed', 'in_progress', 'pending'].map((status, n) => ({ content: `step ${n + 1}`, priority: 'medium', status }));
        await update('plan', { entries });
        break;
      }
      case 'tool':
        await update('tool_call', { toolCallId: 'read-1', title: 'Read notes.txt', kind: 'read', status: 'in_progress',
          locations: [{ path: `${session.cwd}/notes.txt`, line: 3 }], rawInput: { path: 'notes.txt' } });
        await update('tool_call_update', { toolCallId: 'read-1', status: 'completed', rawOutput: { lines: 3 },
          content: [{ type: 'content', content: { type: 'text', text: 'three lines' } }] });
        break;
      case 'edit': {
        const path = `${session.cwd}/notes.txt`;
        const call = { toolCallId: 'edit-1', title: 'Edit notes.txt', kind: 'edit', status: 'pending', rawInput: { path },
          content: [{ type: 'diff', path, oldText: 'one\ntwo\n', newText: 'one\nzwei\n' }] };
        await update('tool_call', call);
        const chosen = await ask(call, plain);
        await update('tool_call_update', { toolCallId: 'edit-1', status: chosen === 'no' ? 'failed' : 'completed' });
        await say(`edit: ${chosen}`);
        break;
      }
      case 'ask': {
        const call = { toolCallId: 'run-1', title: 'touch a', kind: 'execute', rawInput: { command: 'touch a' } };
        await say(`chosen: ${await ask(call, rest.startsWith('odd') ? odd : plain)}`);
        break;
      }
      case 'blocks':
        await say(JSON.stringify(prompt));
        break;
      case 'history':
        await say(`prompts: ${session.messages.filter(([kind]) => kind === 'user').length}`);
        break;
      case 'image':
        await update('agent_message_chunk', { content: { type: 'image', mimeType: 'image/png', data: PIXEL } });
        break;
      case 'mode':
        session.mode = rest;
        await update('current_mode_update', { currentModeId: rest });
        break;
      case 'title':
        await update('session_info_update', { title: rest });
        break;
      case 'spend':
        await update('usage_update', { used: 10, size: 100, cost: { amount: Number(rest), currency: 'USD' } });
        break;
      case 'fs':
        await client.request('fs/read_text_file', { sessionId, path: `${session.cwd}/notes.txt` })
          .catch((error) => say(`error: ${error.code}`));
        break;
      case 'garbage':
        process.stdout.write('Downloading a model… 12%\n[1,2]\n{"jsonrpc":"2.0","id":99999,"result":{}}\n"\\ud83d"\n\u0000\n');
        break;
      case 'long':
        // What the SDK writes while this one is on its way would be lost.
        await new Promise((written) => process.stdout.write(`${'x'.repeat(Number(rest))}\n`, written));
        break;
      case 'stop':
        return { stopReason: rest };
      case 'fail': {
        const [code, ...text] = rest.split(' ');
        throw new acp.RequestError(Number(code), text.join(' '));
      }
      case 'crash':
        console.error('the scripted agent crashes as it was told');
        process.exit(7);
        break;
      case 'deaf':
        // Whoever stops it waits.
        while (!abort.signal.aborted) await sleep(20);
        await ask({ toolCallId: 'late-1', title: 'late', kind: 'execute' }, plain).then((chosen) => say(`late: ${chosen}`));
        await sleep(Number(rest));
        return { stopReason: 'cancelled' };
      default:
        await say(`unknown: ${verb}`);
    }
  }
  return { stopReason: 'end_turn' };
}

console.error('the scripted agent has started');
const connection = app.connect(acp.ndJsonStream(Writable.toWeb(process.stdout), Readable.toWeb(process.stdin)));
await connection.closed;
