import type { User, UserRecord } from '../../../application/index.ts';
import { DATE, EMAIL, ID, refTo, USERNAME } from './schemas.ts';

// The user in replies: schema, example and JSON.

export const USER_MEMBERS = { id: ID, username: USERNAME, email: EMAIL, date_created: DATE };
export const OWN_USER_MEMBERS = {
  ...USER_MEMBERS,
  role: { type: 'string', enum: ['user', 'admin'] },
};

/** Refers to the schemas of these names in the document. */
export const USER = refTo('schemas', 'User');
export const OWN_USER = refTo('schemas', 'OwnUser');

export const USER_EXAMPLE = {
  id: 1,
  username: 'Ada',
  email: 'ada@example.com',
  date_created: '2026-01-02T03:04:05.678Z',
};
export const OWN_USER_EXAMPLE = { ...USER_EXAMPLE, role: 'user' };

export function shownUser({ id, username, email, dateCreated }: User) {
  return { id, username, email, date_created: dateCreated.toISOString() };
}

/** What users see of themselves. They are not disabled, or they could not sign in. */
export function shownOwnUser({ role, ...user }: UserRecord) {
  return { ...shownUser(user), role };
}
