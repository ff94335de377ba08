#!/usr/bin/env node
// The command line of a checkout.
import './prestart.js';

process.setSourceMapsEnabled(true);
await import('../../dist/cli/portcullis.js');
