dreammesh::include_proto!("greet.v1");
