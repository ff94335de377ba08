import type { Auth, AuthErrorCode, Role } from '../../../application/index.ts';
import { FAILURE, JSON_HEADERS, json, NO_CONTENT, type Reply, type TextReply } from './reply.ts';
import type { Component, Field, Part } from './schemas.ts';
import type { UsersAccess } from './users-access.ts';

/**
 * Everything that defines an endpoint, except its name: the method and path, under which it stands in
 * its file. Hosts, the OpenAPI document, the page at /docs and the client's types read it.
 */
export interface Definition<Status extends number = number, FieldName extends string = string> {
  /** The name of its function in generated clients: that of the use case, where there is one. */
  readonly id: string;
  readonly tag: Tag;
  readonly summary: string;
  readonly description: string;
  /**
   * The role that the user of the access token must have. Absent: no access token is needed. This only
   * documents the check: `handle` makes it, by the use case that it calls.
   */
  readonly bearer?: Role | ((settings: Settings) => Role | undefined);
  /** Parameters in the path, the query and headers, by their components' names. */
  readonly parameters?: readonly Component[];
  /**
   * The members of the JSON body that are read. Mark one that may be absent with `optional`: `handle`
   * gets an empty string for it. Without fields the body is not read.
   */
  readonly fields?: Readonly<Record<FieldName, Field>>;
  /**
   * What a success does to the refresh token that the client keeps in a cookie: replaces it by the one
   * of the reply, if there is one, or removes it. Absent: the endpoint has nothing to do with cookies.
   */
  readonly refreshCookie?: 'replaced' | 'ended';
  /** The message of the 500 reply. Default: `FAILURE`. */
  readonly failure?: string;
  /** Whether these settings have the endpoint. Default: all do. */
  readonly isMounted?: (settings: Settings) => boolean;
  readonly success: Success<Status>;
  /** The errors of its use case, besides those of the access token. */
  readonly refusals: readonly AuthErrorCode[];
  /** The endpoint's own replies that are no success, by the names of their examples. */
  readonly replies?: Readonly<Record<string, TextReply>>;
  handle(auth: Auth, input: Input<FieldName>, context: Context): Promise<EndpointReply>;
}

/** Infers which status and fields a definition has, for its handler and the client. */
export function endpoint<const Status extends number, FieldName extends string = never>(
  definition: Definition<Status, FieldName>,
): Definition<Status, FieldName> {
  return definition;
}

/** What endpoints are grouped by in the document. */
export interface Tag {
  readonly name: string;
  readonly description: string;
}

/** The reply of a success, as it is sent and as it is documented. */
export interface Success<Status extends number = number> {
  readonly status: Status;
  readonly description: string;
  /** The `message` of the body, if it is always the same. */
  readonly message?: string;
  /** Absent: there is no body. */
  readonly body?: Body;
  /** Headers besides those of every reply, by their names in HTTP. */
  readonly headers?: Readonly<Record<string, Component>>;
}

/** A body by the name of its schema: an object with these members and `message`, or other JSON. */
export type Body =
  | { readonly name: string; readonly members: Part; readonly example: Part }
  | { readonly name: string; readonly schema: Part; readonly example: unknown };

/** The options that endpoints depend on. */
export interface Settings {
  readonly usersAccess: UsersAccess;
  readonly publicKeys: readonly Readonly<Record<string, string>>[];
  readonly isReady: (() => Promise<boolean>) | undefined;
  /** The text of the OpenAPI document, for the path under which a client asks for it. */
  readonly describe: (path: string) => Promise<string>;
}

/** What a handler gets besides the request. */
export interface Context {
  readonly settings: Settings;
  readonly reply: SuccessReply;
}

type Headers = Readonly<Record<string, string>>;

/** Makes the replies of a success, with the status and the message of its definition. */
export interface SuccessReply {
  readonly empty: () => Reply;
  readonly json: (members: object, headers?: Headers) => TextReply;
  /** With JSON that is text already. */
  readonly text: (body: Reply['body'], headers?: Headers) => Reply;
}

export function successReply({ status, message }: Success): SuccessReply {
  const empty = { ...NO_CONTENT, status };
  return {
    empty: () => empty,
    json: (members, headers) =>
      json(status, message === undefined ? members : { message, ...members }, headers),
    text: (body, headers) => ({ status, headers: { ...JSON_HEADERS, ...headers }, body }),
  };
}

/** A reply, plus the refresh token that the host sets as a cookie. */
export interface EndpointReply extends Reply {
  readonly refreshToken?: string;
}

/** A request as an endpoint sees it. */
export interface Input<FieldName extends string = string> {
  /** The bearer token: '' if there is none, and not a token if there is not exactly one. */
  readonly accessToken: string;
  /** The IP address of the client. Undefined where the host does not know it. */
  readonly address: string | undefined;
  /** The members of the body that the endpoint reads: '' for one that is absent or not a string. */
  readonly fields: Readonly<Record<FieldName, string>>;
  /** The whole path, with what the endpoints are mounted under. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** The values of the path's `{names}`. */
  readonly params: Readonly<Record<string, string>>;
  /** Whether the client keeps its refresh token in a cookie: then no body shows it. */
  readonly hasRefreshCookie: boolean;
  /** All values of a header, joined by commas. The name is in lower case. */
  readonly header: (name: string) => string | undefined;
}

/** An endpoint, or a page, as hosts serve it. */
export interface Endpoint extends Pick<Definition, 'refreshCookie'> {
  readonly method: string;
  /** May have `{names}`, each for one segment. */
  readonly path: string;
  /** The members of the JSON body that are read. Absent: the body is not read. */
  readonly fields?: readonly string[];
  /** The message of the 500 reply. */
  readonly failure: string;
  readonly handle: (auth: Auth, input: Input) => Promise<EndpointReply>;
}

/** An endpoint with what the OpenAPI document says of it. */
export interface DescribedEndpoint extends Endpoint {
  readonly definition: Definition;
  /** The role that the user of the access token must have. Undefined: no access token is needed. */
  readonly bearer: Role | undefined;
}

/** Makes an endpoint of its definition. */
export function describedEndpoint(
  name: string,
  definition: Definition,
  settings: Settings,
): DescribedEndpoint {
  const [method = '', path = ''] = name.split(' ');
  const { fields, refreshCookie, failure = FAILURE, bearer, success } = definition;
  const context = { settings, reply: successReply(success) };
  return {
    method,
    path,
    failure,
    ...(fields && { fields: Object.keys(fields) }),
    ...(refreshCookie && { refreshCookie }),
    handle: (auth, input) => definition.handle(auth, input, context),
    definition,
    bearer: typeof bearer === 'function' ? bearer(settings) : bearer,
  };
}
