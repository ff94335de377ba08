import type {
  CreateUserInput,
  SetPasswordInput,
  SetRoleInput,
  UserIdInput,
  UserRef,
} from './administer-users.ts';
import type { AuthorizeInput } from './authorize.ts';
import type { ChangePasswordInput } from './change-password.ts';
import type { DeleteAccountInput } from './delete-account.ts';
import type { EndSessionInput } from './end-session.ts';
import type { ListUsersInput } from './list-users.ts';
import type { LoginInput } from './login.ts';
import type { PruneExpiredInput } from './prune.ts';
import type { RefreshTokenInput } from './refresh-token.ts';
import type { RegisterUserInput } from './register-user.ts';

// Names of 0.1.0, kept for one release.

/** @deprecated Use `DeleteAccountInput`. */
export type AccountDeletion = DeleteAccountInput;
/** @deprecated Use `AuthorizeInput`. */
export type Authorization = AuthorizeInput;
/** @deprecated Use `LoginInput`. */
export type Credentials = LoginInput;
/** @deprecated Use `ListUsersInput`. */
export type ListQuery = ListUsersInput;
/** @deprecated Use `ChangePasswordInput`. */
export type PasswordChanging = ChangePasswordInput;
/** @deprecated Use `SetPasswordInput`. */
export type PasswordSetting = SetPasswordInput;
/** @deprecated Use `PruneExpiredInput`. */
export type Pruning = PruneExpiredInput;
/** @deprecated Use `RefreshTokenInput`. */
export type Refreshing = RefreshTokenInput;
/** @deprecated Use `RegisterUserInput`. */
export type Registration = RegisterUserInput;
/** @deprecated Use `SetRoleInput`. */
export type RoleChange = SetRoleInput;
/** @deprecated Use `EndSessionInput`. */
export type SessionEnding = EndSessionInput;
/** @deprecated Use `UserIdInput`. */
export type UserChange = UserIdInput;
/** @deprecated Use `CreateUserInput`. */
export type UserCreation = CreateUserInput;
/** @deprecated Use `UserRef`. */
export type UserName = UserRef;
