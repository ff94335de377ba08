/**
 * Loads a list of about 30,000 common passwords, and resolves to a function that tells whether a
 * password is one of them, ignoring case. The list is not in memory until the first call.
 */
export async function commonPasswords(): Promise<(password: string) => boolean> {
  const { dictionary } = await import('@zxcvbn-ts/language-common');
  const known = new Set(dictionary['passwords-common']);
  return (password) => known.has(password.toLowerCase());
}
