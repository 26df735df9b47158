// A catalog on grpc-js that answers with its own name; says on which port it listens.
//
// Takes its name, the descriptor set of the catalog, and the `.proto` file of gRPC's health service. Each line of
// standard input is what it says of its health from then on.
"use strict";

const fs = require("node:fs");
const readline = require("node:readline");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

function main(name, descriptors, health) {
  const catalog = loader.loadFileDescriptorSetFromBuffer(fs.readFileSync(descriptors));
  const checked = loader.loadSync(health, { enums: String });
  let status = "SERVING";
  const server = new grpc.Server();
  server.addService(catalog["shop.v1.Catalog"], {
    GetItem: (_, callback) => callback(null, { title: name }),
  });
  server.addService(checked["grpc.health.v1.Health"], {
    Check: (_, callback) => callback(null, { status }),
  });
  readline.createInterface({ input: process.stdin }).on("line", (line) => (status = line));
  server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
    if (error) throw error;
    console.log(`listening on 127.0.0.1:${port}`);
  });
}

main(...process.argv.slice(2));
