// Short names for what the host's description of its API has (schema.d.ts, generated from ../src/api/openapi.json).

import type { components } from './schema';

type Schemas = components['schemas'];

export type Agent = Schemas['Agent'];
export type AgentRequest = Schemas['AgentRequest'];
export type Answer = Schemas['Answer'];
export type Attachment = Schemas['Attachment'];
export type Backend = Schemas['Backend'];
export type BrowserSignIn = Schemas['BrowserSignIn'];
export type Cause = Schemas['Cause'];
export type ChatCommand = Schemas['ChatCommand'];
export type ClientFrame = Schemas['ClientFrame'];
export type ConfigChange = Schemas['ConfigChange'];
export type Content = Schemas['Content'];
export type Feature = Schemas['Feature'];
export type FileChange = Schemas['FileChange'];
export type FileEntry = Schemas['FileEntry'];
export type HostEvent = Schemas['Event'];
export type ListedSession = Schemas['ListedSession'];
export type LogLine = Schemas['LogLine'];
export type Message = Schemas['Message'];
export type MessageWithParts = Schemas['MessageWithParts'];
export type Model = Schemas['Model'];
export type NewPrompt = Schemas['NewPrompt'];
export type Note = Schemas['Note'];
export type Part = Schemas['Part'];
export type Pending = Schemas['Pending'];
export type PluginDetails = Schemas['PluginDetails'];
export type PluginStatus = Schemas['PluginStatus'];
export type Provider = Schemas['Provider'];
export type Question = Schemas['Question'];
export type RenderedPart = Schemas['RenderedPart'];
export type ServerFrame = Schemas['ServerFrame'];
export type SessionInfo = Schemas['SessionInfo'];
export type SessionState = Schemas['SessionState'];
export type Severity = Schemas['Severity'];
export type SignInMethod = Schemas['SignInMethod'];
export type Status = Schemas['Status'];
export type TodoItem = Schemas['TodoItem'];
export type Tool = Schemas['Tool'];
export type TunnelStatus = Schemas['TunnelStatus'];
export type Turn = Schemas['Turn'];
export type Usage = Schemas['Usage'];
export type Workspace = Schemas['Workspace'];

/** The server frame of one type. */
export type Frame<Type extends ServerFrame['type']> = Extract<ServerFrame, { readonly type: Type }>;

/** A cause and its fix, in one text. */
export const explained = ({ cause, fix }: { cause: string; fix?: string | null }): string => (fix ? `${cause} To fix: ${fix}` : cause);
