/** The version of the HTTP API, which is that of the package. */
export const API_VERSION = '0.1.0';
