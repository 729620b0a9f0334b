// Calls of the published client, one line of JSON each: {"method", "parameters"} in, {"resolved"} or {"rejected"} out.
// argv: the credentials file and host:port. The client reads its file by itself and then says that it is ready.
'use strict';
const readline = require('readline');
const { default: Client } = require('@voximplant/apiclient-nodejs');

const [pathToCredentials, host, accountId] = process.argv.slice(2);
const client = new Client({ pathToCredentials, host, accountId: accountId ? Number(accountId) : undefined });

function answer(value) {
  process.stdout.write(JSON.stringify(value) + '\n');
}

client.onReady = () => {
  answer({ ready: true });
  readline.createInterface({ input: process.stdin }).on('line', (line) => {
    const { method, parameters } = JSON.parse(line);
    Promise.resolve()
      .then(() => client.SIPRegistration[method](parameters))
      .then(
        (resolved) => answer({ resolved }),
        (error) => answer({ rejected: String((error && error.message) || error) })
      );
  });
};
