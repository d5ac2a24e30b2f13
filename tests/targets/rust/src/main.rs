//! A small service to profile with pprof-rs.
//!
//!   GET /work                      one round of all four functions, in their shares
//!   GET /fibonacci … /hashing      one round of that function alone (not counted in /shares)
//!   GET /shares                    the share of the time that each function has taken of /work
//!   GET /admin/profile?seconds=N   answers with a pprof profile; x-api-key must be $TARGET_TOKEN
//!
//! PORT is the loopback port (0 takes a free one).

mod workload;

use pprof::protos::Message;
use std::io::{BufRead, BufReader, Read, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{env, thread};
use workload::Workload;

const MAX_HEAD: u64 = 16384;
const MAX_SECONDS: u64 = 600;
/// Below the kernel's tick of 250 a second, which bounds ITIMER_PROF.
const FREQUENCY: i32 = 199;

type Answer = (u16, Vec<u8>);

fn text(status: u16, body: &str) -> Answer {
    (status, body.as_bytes().to_vec())
}

struct Request {
    path: String,
    query: String,
    key: Option<String>,
}

fn read_request(stream: &TcpStream) -> Result<Request> {
    let mut lines = BufReader::new(stream.take(MAX_HEAD)).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    let target = first.split(' ').nth(1).unwrap_or("");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut request = Request {
        path: path.to_string(),
        query: query.to_string(),
        key: None,
    };
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            if name.eq_ignore_ascii_case("x-api-key") {
                request.key = Some(value.trim().to_string());
            }
        }
    }
    Ok(request)
}

fn profile(seconds: u64) -> std::result::Result<Vec<u8>, pprof::Error> {
    // Unwinding from inside these would take the lock that the interrupted code may hold.
    let guard = pprof::ProfilerGuardBuilder::default()
        .frequency(FREQUENCY)
        .blocklist(&["libc", "libgcc", "pthread", "vdso"])
        .build()?;
    thread::sleep(Duration::from_secs(seconds));
    let profile = guard.report().build()?.pprof()?;
    Ok(profile
        .write_to_bytes()
        .expect("a profile in memory can be encoded"))
}

fn answer_profile(request: &Request) -> Answer {
    match &request.key {
        None => return text(401, "a key is needed\n"),
        Some(key) if *key != env::var("TARGET_TOKEN").unwrap_or_default() => {
            return text(403, "the key is wrong\n")
        }
        Some(_) => (),
    }
    let seconds = request
        .query
        .split('&')
        .find_map(|pair| pair.strip_prefix("seconds="));
    match seconds.unwrap_or("10").parse() {
        Ok(seconds) if (1..=MAX_SECONDS).contains(&seconds) => match profile(seconds) {
            Ok(bytes) => (200, bytes),
            Err(error) => text(500, &format!("{}\n", error)),
        },
        _ => text(
            400,
            &format!("seconds is a whole number from 1 to {}\n", MAX_SECONDS),
        ),
    }
}

/// One request works at a time: the shares stay true however many come at once.
fn answer(request: &Request, workload: &Mutex<Workload>) -> Answer {
    let lock = || workload.lock().expect("no request panics while it works");
    match request.path.as_str() {
        "/admin/profile" => answer_profile(request),
        "/shares" => text(200, &lock().shares()),
        "/work" => text(200, &format!("{}\n", lock().work())),
        path => match lock().alone(path.trim_start_matches('/')) {
            Some(result) => text(200, &format!("{}\n", result)),
            None => text(404, "not found\n"),
        },
    }
}

fn serve(mut stream: TcpStream, workload: &Mutex<Workload>) -> Result<()> {
    let request = read_request(&stream)?;
    let (status, body) = answer(&request, workload);
    write!(
        stream,
        "HTTP/1.1 {} .\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        status,
        body.len()
    )?;
    stream.write_all(&body)
}

fn main() -> Result<()> {
    let port = env::var("PORT").unwrap_or_else(|_| "0".to_string());
    let listener = TcpListener::bind(format!("127.0.0.1:{}", port))?;
    let workload = Arc::new(Mutex::new(Workload::new()));
    println!("listening on http://{}", listener.local_addr()?);
    for task in &workload.lock().expect("nothing runs yet").tasks {
        println!("share {} {}", task.name, task.share);
    }
    for stream in listener.incoming() {
        let (stream, workload) = (stream?, Arc::clone(&workload));
        thread::spawn(move || {
            if let Err(error) = serve(stream, &workload) {
                eprintln!("{}", error);
            }
        });
    }
    Ok(())
}
