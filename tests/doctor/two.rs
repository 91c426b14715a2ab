//! Two machines in one test: `left` and `right`, each a network namespace, and a copy of the doctor on each.

#[path = "namespace.rs"]
mod namespace;

pub(crate) use namespace::codes;
use namespace::{run, shown};
use serde_json::Value;

/// Two machines on one wire, `left` (192.0.2.1) and `right` (192.0.2.2), each a network namespace in which a command is
/// run as `on left COMMAND`. They are held by processes that wait for their own input to end.
const WIRE: &str = r#"
    hold() {
        mkfifo "$FOLDER/$1.up"
        unshare --net sh -c "echo up > '$FOLDER/$1.up'; read -r line" < "$FOLDER/stay" &
        echo $! > "$FOLDER/$1.pid"
        read -r line < "$FOLDER/$1.up"
    }
    on() {
        held=$(cat "$FOLDER/$1.pid")
        shift
        nsenter --net="/proc/$held/ns/net" "$@"
    }
    mkfifo "$FOLDER/stay"
    exec 9<> "$FOLDER/stay"
    hold left
    hold right
    trap 'kill $(cat "$FOLDER"/*.pid)' EXIT
    give() {
        ip link set "$2" netns "$(cat "$FOLDER/$1.pid")"
        on "$1" sh -c "ip link set lo up; echo 0 > /proc/sys/net/ipv6/conf/$2/accept_dad; ip link set $2 up"
    }
"#;

/// `left` and `right` joined by one wire.
pub(crate) const JOINED: &str = "
    ip link add l0 type veth peer name r0
    give left l0
    give right r0
    on left ip address add 192.0.2.1/24 dev l0
    on right ip address add 192.0.2.2/24 dev r0
    on left ip address add fd00:1::1/64 dev l0 nodad
    on right ip address add fd00:1::2/64 dev r0 nodad
    on left ip route add 224.0.0.0/4 dev l0
    on right ip route add 224.0.0.0/4 dev r0
";

/// What one copy said.
pub(crate) struct Side {
    /// Its JSON.
    pub(crate) result: Value,
    /// The same, and what else was printed.
    pub(crate) told: String,
    /// Its exit code.
    pub(crate) code: Option<i32>,
}

/// Runs a copy on each side at once; `None` where this machine cannot.
pub(crate) fn probe(test: &str, network: &str, left: &str, right: &str) -> Option<[Side; 2]> {
    let script = format!(
        r#"
        probe() {{
            side=$1
            shift
            code=0
            on "$side" "$CASTLAB" doctor --probe --json --name "$side" "$@" > "$FOLDER/$side.json" || code=$?
            echo $code > "$FOLDER/$side.code"
        }}
        probe left {left} &
        first=$!
        probe right {right}
        wait $first
        for side in left right; do cat "$FOLDER/$side.json" "$FOLDER/$side.code"; done
        "#
    );
    let told = told(test, network, &script)?;
    let mut lines = told.lines();
    Some([(); 2].map(|()| {
        let (result, code) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        side(result, code, &told)
    }))
}

/// Runs one copy, on the left.
pub(crate) fn alone(test: &str, network: &str, left: &str) -> Option<Side> {
    let script = format!("code=0; on left \"$CASTLAB\" doctor --probe --json {left} || code=$?; echo $code\n");
    let told = told(test, network, &script)?;
    let mut lines = told.lines();
    let (result, code) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    Some(side(result, code, &told))
}

/// What a copy on the left prints for people, while another runs on the right.
pub(crate) fn told_on_the_left(test: &str, network: &str, asked: &str) -> Option<String> {
    let script = format!(
        r#"
        on right "$CASTLAB" doctor --probe -q --name right {asked} > "$FOLDER/right" &
        right=$!
        on left "$CASTLAB" doctor --probe --name left {asked} || true
        wait $right || true
        "#
    );
    told(test, network, &script)
}

fn told(test: &str, network: &str, script: &str) -> Option<String> {
    let tools: &[&str] = if network.contains("nft") { &["nsenter", "nft"] } else { &["nsenter"] };
    Some(shown(&run(test, &format!("{WIRE}{network}"), tools, script)?))
}

fn side(result: &str, code: &str, told: &str) -> Side {
    let result = serde_json::from_str(result).unwrap_or_else(|error| panic!("{error}: {told}"));
    Side { result, told: told.to_owned(), code: code.parse().ok() }
}
