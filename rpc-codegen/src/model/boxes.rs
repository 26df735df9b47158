//! Finds the fields that need a `Box` for their message to have a finite size.

use std::collections::BTreeMap;

use super::{Message, Shape, Type};

/// Marks each singular message field that leads back to its own message through singular fields.
///
/// Lists and maps hold their elements on the heap already, so they break a cycle by themselves.
pub(super) fn mark(messages: &mut BTreeMap<String, Message>) {
    let groups = groups(messages);
    for message in messages.values_mut() {
        let own = groups[message.full_name.as_str()];
        for field in &mut message.fields {
            let (Type::Message(target), Shape::Plain | Shape::Optional | Shape::Arm) =
                (&field.ty, field.shape)
            else {
                continue;
            };
            field.boxed = groups.get(target.as_str()) == Some(&own);
        }
    }
}

/// Numbers the strongly connected components of the graph of singular message fields (Tarjan's
/// algorithm, with a stack of its own, because a schema may chain thousands of messages).
fn groups(messages: &BTreeMap<String, Message>) -> BTreeMap<String, usize> {
    let index_of: BTreeMap<&str, usize> = messages
        .keys()
        .enumerate()
        .map(|(index, name)| (name.as_str(), index))
        .collect();
    let edges: Vec<Vec<usize>> = messages.values().map(|m| targets(m, &index_of)).collect();
    let mut search = Search {
        order: vec![None; edges.len()],
        low: vec![0; edges.len()],
        open: vec![false; edges.len()],
        group: vec![0; edges.len()],
        stack: Vec::new(),
        visited: 0,
    };
    for root in 0..edges.len() {
        if search.order[root].is_none() {
            search.visit(root, &edges);
        }
    }
    messages.keys().cloned().zip(search.group).collect()
}

fn targets(message: &Message, index_of: &BTreeMap<&str, usize>) -> Vec<usize> {
    let singular = message
        .fields
        .iter()
        .filter(|field| matches!(field.shape, Shape::Plain | Shape::Optional | Shape::Arm));
    singular
        .filter_map(|field| match &field.ty {
            Type::Message(name) => index_of.get(name.as_str()).copied(),
            _ => None,
        })
        .collect()
}

struct Search {
    /// When each node was first seen.
    order: Vec<Option<usize>>,
    /// The earliest node reachable from each.
    low: Vec<usize>,
    /// Whether a node is on the stack.
    open: Vec<bool>,
    /// The component of each finished node, named by its root.
    group: Vec<usize>,
    stack: Vec<usize>,
    visited: usize,
}

impl Search {
    fn visit(&mut self, root: usize, edges: &[Vec<usize>]) {
        let mut path = vec![(root, 0)];
        self.enter(root);
        while let Some((node, next)) = path.last_mut() {
            let node = *node;
            if let Some(&target) = edges[node].get(*next) {
                *next += 1;
                match self.order[target] {
                    None => {
                        self.enter(target);
                        path.push((target, 0));
                    }
                    Some(seen) if self.open[target] => {
                        self.low[node] = self.low[node].min(seen);
                    }
                    Some(_) => {}
                }
                continue;
            }
            path.pop();
            if let Some((parent, _)) = path.last() {
                self.low[*parent] = self.low[*parent].min(self.low[node]);
            }
            if Some(self.low[node]) == self.order[node] {
                self.close(node);
            }
        }
    }

    fn enter(&mut self, node: usize) {
        self.order[node] = Some(self.visited);
        self.low[node] = self.visited;
        self.visited += 1;
        self.open[node] = true;
        self.stack.push(node);
    }

    fn close(&mut self, root: usize) {
        while let Some(node) = self.stack.pop() {
            self.open[node] = false;
            self.group[node] = root;
            if node == root {
                return;
            }
        }
    }
}
