// The test service as grpc-js loads it, without generated code.
"use strict";

const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

exports.load = (protos) => {
  const options = { keepCase: true, includeDirs: [protos] };
  const loaded = loader.loadSync("grpc/testing/test.proto", options);
  return grpc.loadPackageDefinition(loaded).grpc.testing;
};
