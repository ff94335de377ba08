import type { Role } from '../../../application/index.ts';

/** Who may read GET /users. With `disabled` there is no such endpoint. */
export type UsersAccess = 'public' | 'authenticated' | 'admin' | 'disabled';

/** Every word that `usersAccess` can be. */
export const USERS_ACCESS: readonly UsersAccess[] = [
  'public',
  'authenticated',
  'admin',
  'disabled',
];

/** The role that a reader of GET /users must have. Undefined: no access token is needed. */
export function roleFor(usersAccess: UsersAccess): Role | undefined {
  if (usersAccess === 'authenticated') return 'user';
  return usersAccess === 'admin' ? 'admin' : undefined;
}
