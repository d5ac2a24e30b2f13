//! Keeps known amounts from known functions, by jemalloc; then says "ready PORT" and serves its heap profile there, as
//! services with an endpoint for it do. It ends with its input.
use std::ffi::CString;
use std::io::{Read, Write};
use std::net::TcpListener;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[inline(never)]
fn keep_large() -> Vec<Vec<u8>> {
    let mut kept = Vec::with_capacity(40);
    for _ in 0..40 {
        kept.push(vec![1; 1 << 20]);
    }
    kept
}

#[inline(never)]
fn keep_small() -> Vec<Box<[u8; 1000]>> {
    let mut kept = Vec::with_capacity(20000);
    for _ in 0..20000 {
        kept.push(Box::new([2; 1000]));
    }
    kept
}

#[inline(never)]
fn drop_all() {
    for _ in 0..20000 {
        let dropped = Box::new([3u8; 1000]);
        unsafe { std::ptr::read_volatile(&dropped[0]) };
    }
}

/// jemalloc's dump, by a file as it makes no other.
fn dump() -> Vec<u8> {
    let path = std::env::temp_dir().join(format!("allocate-{}.heap", std::process::id()));
    let name = CString::new(path.to_str().unwrap()).unwrap();
    let mut at = name.as_ptr();
    let failed = unsafe {
        tikv_jemalloc_sys::mallctl(
            b"prof.dump\0".as_ptr().cast(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            (&mut at as *mut *const std::os::raw::c_char).cast(),
            std::mem::size_of::<*const std::os::raw::c_char>(),
        )
    };
    let bytes = if failed == 0 { std::fs::read(&path).unwrap() } else { Vec::new() };
    let _ = std::fs::remove_file(&path);
    bytes
}

fn serve(listener: TcpListener) {
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let mut request = [0; 4096];
        let n = stream.read(&mut request).unwrap_or(0);
        let found = request[..n].starts_with(b"GET /debug/pprof/heap ");
        let body = if found { dump() } else { Vec::new() };
        let status = if found { "200 OK" } else { "404 Not Found" };
        let head = format!("HTTP/1.1 {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", status, body.len());
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
    }
}

fn main() {
    let kept = (keep_large(), keep_small());
    drop_all();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("ready {}", listener.local_addr().unwrap().port());
    std::thread::spawn(move || serve(listener));
    let _ = std::io::stdin().read(&mut [0]);
    drop(kept);
}
