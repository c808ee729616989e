//! Keeps QEMU's two threads out of each other's way, so that virtual time repeats.
//!
//! With `-icount sleep=off` QEMU's main loop moves the clock on to the next timer whenever it finds the processor
//! idle. It looks at a flag that the processor's thread sets *before* that thread has accounted for the instructions it
//! has just executed. A main loop that looks between the two moves the clock too far by those instructions: a few
//! nanoseconds, but from then on two runs differ. How often that happens depends on the host's load.
//!
//! This library is loaded into QEMU before libc (`LD_PRELOAD`). The main thread gets QEMU's global lock only while
//! the processor's thread wants it too, or sleeps: then everything is accounted for, and nothing is being executed.
//! What the main loop would have done meanwhile waits. Timers that expire while the processor runs are run by its own
//! thread, as ever.
//!
//! Built by `build.rs` into a shared object of its own; it uses nothing but libc.

#![no_std]

use core::ffi::{CStr, c_char, c_int, c_long, c_void};
use core::mem::transmute;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering::SeqCst};

type Mutex = c_void;
type Condition = c_void;
type OnMutex = unsafe extern "C" fn(*mut Mutex) -> c_int;
type Wait = unsafe extern "C" fn(*mut Condition, *mut Mutex) -> c_int;

#[link(name = "c")]
unsafe extern "C" {
    fn dlvsym(handle: *mut c_void, name: *const c_char, version: *const c_char) -> *mut c_void;
    fn pthread_self() -> usize;
    fn syscall(number: c_long, ...) -> c_long;
    fn abort() -> !;
}

/// The next library that has the name, after this one.
const NEXT: *mut c_void = -1isize as *mut c_void;
const SYS_FUTEX: c_long = 202;
const FUTEX_WAIT_PRIVATE: c_int = 128;
const FUTEX_WAKE_PRIVATE: c_int = 129;

static MAIN_THREAD: AtomicUsize = AtomicUsize::new(0);
/// The processor's thread, and QEMU's global lock: both known from the processor's first sleep.
static PROCESSOR_THREAD: AtomicUsize = AtomicUsize::new(0);
static GLOBAL_LOCK: AtomicPtr<Mutex> = AtomicPtr::new(null_mut());
/// 1 from where the processor's thread gives the global lock away to execute, until it wants it back.
static PROCESSOR_RUNS: AtomicU32 = AtomicU32::new(0);
/// 1 while the main thread waits for its turn.
static MAIN_WAITS: AtomicU32 = AtomicU32::new(0);

/// A function of libc's that one of ours stands before.
struct Real {
    name: &'static CStr,
    /// A condition's functions have an old version too, which must not be used.
    version: &'static CStr,
    found: AtomicPtr<c_void>,
}

static LOCK: Real = Real::new(c"pthread_mutex_lock", c"GLIBC_2.2.5");
static UNLOCK: Real = Real::new(c"pthread_mutex_unlock", c"GLIBC_2.2.5");
static WAIT: Real = Real::new(c"pthread_cond_wait", c"GLIBC_2.3.2");

impl Real {
    const fn new(name: &'static CStr, version: &'static CStr) -> Self {
        let found = AtomicPtr::new(null_mut());
        Self {
            name,
            version,
            found,
        }
    }

    /// Looked up once; that takes none of the locks we stand before.
    fn get(&self) -> *mut c_void {
        let mut found = self.found.load(SeqCst);
        if found.is_null() {
            // SAFETY: both strings end with zero; the handle is the documented pseudo-handle.
            found = unsafe { dlvsym(NEXT, self.name.as_ptr(), self.version.as_ptr()) };
            if found.is_null() {
                // SAFETY: nothing can be done without libc.
                unsafe { abort() }
            }
            self.found.store(found, SeqCst);
        }
        found
    }

    /// As a function on a mutex, which the first two are.
    fn on_mutex(&self) -> OnMutex {
        // SAFETY: asked only of functions of this type.
        unsafe { transmute::<*mut c_void, OnMutex>(self.get()) }
    }
}

#[used]
#[unsafe(link_section = ".init_array")]
static AT_START: unsafe extern "C" fn() = at_start;

unsafe extern "C" fn at_start() {
    // SAFETY: called once by the loader, in the main thread.
    MAIN_THREAD.store(unsafe { pthread_self() }, SeqCst);
}

fn is(thread: &AtomicUsize) -> bool {
    // SAFETY: has no requirements.
    thread.load(SeqCst) == unsafe { pthread_self() }
}

/// Sleeps while the word is `value`; perhaps not as long.
fn sleep_while(word: &AtomicU32, value: u32) {
    // SAFETY: the word is valid for ever.
    unsafe {
        let forever = null_mut::<c_void>();
        syscall(SYS_FUTEX, word.as_ptr(), FUTEX_WAIT_PRIVATE, value, forever);
    }
}

/// Sets a word, and wakes who sleeps on it.
fn change(word: &AtomicU32, value: u32) {
    word.store(value, SeqCst);
    // SAFETY: the word is valid for ever.
    unsafe {
        syscall(SYS_FUTEX, word.as_ptr(), FUTEX_WAKE_PRIVATE, 1);
    }
}

/// libc's `pthread_mutex_lock`; but the two threads take turns with the global lock.
///
/// # Safety
/// As libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_mutex_lock(mutex: *mut Mutex) -> c_int {
    let lock = LOCK.on_mutex();
    let is_global = mutex == GLOBAL_LOCK.load(SeqCst);
    if is_global && is(&PROCESSOR_THREAD) {
        PROCESSOR_RUNS.store(0, SeqCst);
        // Whoever waits longer goes first: else a processor that waits for the main loop's work might never see it.
        while MAIN_WAITS.load(SeqCst) == 1 {
            change(&PROCESSOR_RUNS, 0);
            sleep_while(&MAIN_WAITS, 1);
        }
    }
    // SAFETY: the caller's promise.
    let result = unsafe { lock(mutex) };
    match result {
        // SAFETY: we hold the lock.
        0 if is_global && is(&MAIN_THREAD) => unsafe { wait_for_turn(mutex, lock) },
        _ => result,
    }
}

/// The main thread's wait, called and left with the lock held.
unsafe fn wait_for_turn(mutex: *mut Mutex, lock: OnMutex) -> c_int {
    let unlock = UNLOCK.on_mutex();
    let mut result = 0;
    while result == 0 && PROCESSOR_RUNS.load(SeqCst) == 1 {
        MAIN_WAITS.store(1, SeqCst);
        // SAFETY: we hold the lock, and take it again.
        unsafe { unlock(mutex) };
        sleep_while(&PROCESSOR_RUNS, 1);
        // SAFETY: the caller's promise.
        result = unsafe { lock(mutex) };
    }
    if MAIN_WAITS.load(SeqCst) == 1 {
        change(&MAIN_WAITS, 0);
    }
    result
}

/// libc's `pthread_mutex_unlock`; the processor gives the global lock away only to execute.
///
/// # Safety
/// As libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_mutex_unlock(mutex: *mut Mutex) -> c_int {
    if mutex == GLOBAL_LOCK.load(SeqCst) && is(&PROCESSOR_THREAD) {
        PROCESSOR_RUNS.store(1, SeqCst);
    }
    // SAFETY: the caller's promise.
    unsafe { UNLOCK.on_mutex()(mutex) }
}

/// libc's `pthread_cond_wait`; it tells who is who.
///
/// The first thread beside the main one that waits for a condition is the processor's, and what it waits under is the
/// global lock: it waits to be started before any other thread has anything to wait for.
///
/// # Safety
/// As libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_cond_wait(condition: *mut Condition, mutex: *mut Mutex) -> c_int {
    if GLOBAL_LOCK.load(SeqCst).is_null() && !is(&MAIN_THREAD) {
        // SAFETY: has no requirements.
        PROCESSOR_THREAD.store(unsafe { pthread_self() }, SeqCst);
        GLOBAL_LOCK.store(mutex, SeqCst);
    }
    // SAFETY: this is libc's function of this type; the caller's promise.
    unsafe {
        let wait: Wait = transmute(WAIT.get());
        wait(condition, mutex)
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // SAFETY: nothing here panics; if it did, QEMU must not go on.
    unsafe { abort() }
}
