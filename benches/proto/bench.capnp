# bench.proto as Cap'n Proto has it: the same messages with the same fields, and the unary calls.
#
# Its compiler is a C++ program, and builds are not to need one. So what that makes of this file is
# kept beside it, and the rest of the work is a Rust crate's. After a change, with Debian's package
# `capnproto` at hand, in this directory:
#
#     capnp compile -o- bench.capnp > bench.capnp.request
@0x95e7dbd84ef9a1c4;

struct Small {
  id @0 :UInt64;
  ts @1 :UInt64;
  name @2 :Text;
  data @3 :Data;
}

struct LineItem {
  sku @0 :UInt64;
  qty @1 :UInt32;
  name @2 :Text;
}

struct Order {
  id @0 :UInt64;
  customerId @1 :UInt64;
  created @2 :Int64;
  updated @3 :Int64;
  status @4 :UInt32;
  region @5 :UInt32;
  total @6 :Float64;
  tax @7 :Float64;
  paid @8 :Bool;
  version @9 :UInt64;
  customer @10 :Text;
  address @11 :Text;
  note @12 :Text;
  items @13 :List(LineItem);
}

interface Bench {
  echo @0 (message :Small) -> (message :Small);
  process @1 (message :Order) -> (message :Order);
  copy @2 (data :Data) -> (data :Data);
}
