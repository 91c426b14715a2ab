//! Which replica a key belongs to: rendezvous hashing (Thaler and Ravishankar, 1996), so that when one replica goes only
//! its own keys move.
//!
//! Every client computes the same order from the key and the addresses alone; nobody keeps a table. Pure.

use std::net::SocketAddr;

/// What stands for the number of the connection in a key.
pub const NUMBER: &str = "{}";

/// The candidates, by number, in the order in which `key` prefers them.
///
/// The weight of a candidate is a hash of key and address, so it depends on no other candidate: taking one away leaves
/// the order of the rest as it was.
#[must_use]
pub fn order(key: &str, candidates: &[SocketAddr]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by_cached_key(|&index| std::cmp::Reverse(candidates.get(index).map(|address| weight(key, *address))));
    order
}

/// The key of connection `number`: `{}` stands for the number, so that one client can play many users.
#[must_use]
pub fn key_of(key: &str, number: u64) -> String {
    key.replace(NUMBER, &number.to_string())
}

fn weight(key: &str, address: SocketAddr) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    // The length first: else the key "a1" with address "2" would be the key "a" with address "12".
    hasher.update(&(key.len() as u64).to_le_bytes()).update(key.as_bytes()).update(address.to_string().as_bytes());
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replicas(count: u16) -> Vec<SocketAddr> {
        (1..=count).map(|port| SocketAddr::from(([127, 0, 0, 1], port))).collect()
    }

    fn owner(key: &str, replicas: &[SocketAddr]) -> SocketAddr {
        replicas[order(key, replicas)[0]]
    }

    #[test]
    fn a_key_always_goes_to_the_same_replica_whatever_the_order_of_the_answer() {
        let (forth, mut back) = (replicas(5), replicas(5));
        back.reverse();
        for user in 0..100 {
            let key = key_of("user-{}", user);
            assert_eq!(owner(&key, &forth), owner(&key, &back));
        }
    }

    #[test]
    fn when_one_goes_only_its_own_keys_move_and_they_spread() {
        let (all, gone) = (replicas(5), replicas(5)[2]);
        let left: Vec<SocketAddr> = all.iter().copied().filter(|replica| *replica != gone).collect();
        let mut heirs = std::collections::BTreeSet::new();
        for user in 0..1_000 {
            let key = key_of("user-{}", user);
            let (before, after) = (owner(&key, &all), owner(&key, &left));
            if before == gone {
                heirs.insert(after);
            } else {
                assert_eq!(before, after, "{key}")
            }
        }
        assert_eq!(heirs.len(), 4, "no single neighbour inherits all of them");
    }

    #[test]
    fn keys_spread_evenly() {
        let all = replicas(5);
        for replica in &all {
            let owned = (0..5_000).filter(|user| owner(&key_of("user-{}", *user), &all) == *replica).count();
            assert!((850..1_150).contains(&owned), "{replica} owns {owned} of 5000");
        }
    }

    #[test]
    fn nobody_to_choose_from_gives_an_empty_order() {
        assert!(order("key", &[]).is_empty());
    }
}
