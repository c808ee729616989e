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
//! And an idle processor's thread need not wake the main loop at all, only to be woken by it: it moves the clock on and
//! runs the timers itself, with the functions that QEMU's main loop would call for it. What it has to tell other threads
//! waits until it sleeps in earnest: stopped, or because nothing is due ever, or because the main thread wants a turn.
//! That changes nothing that the guest can see. A QEMU that does not export these functions does it in its own way.
//!
//! Built by `build.rs` into a shared object of its own; it uses nothing but libc.

#![no_std]

use core::ffi::{CStr, c_char, c_int, c_long, c_void};
use core::mem::transmute;
use core::ptr::{null_mut, without_provenance_mut};
use core::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicUsize, Ordering::SeqCst};

type Mutex = c_void;
type Condition = c_void;
type OnMutex = unsafe extern "C" fn(*mut Mutex) -> c_int;
type Wait = unsafe extern "C" fn(*mut Condition, *mut Mutex) -> c_int;
type Write = unsafe extern "C" fn(c_int, *const c_void, usize) -> isize;

#[link(name = "c")]
unsafe extern "C" {
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    fn dlvsym(handle: *mut c_void, name: *const c_char, version: *const c_char) -> *mut c_void;
    fn pthread_self() -> usize;
    fn syscall(number: c_long, ...) -> c_long;
    fn abort() -> !;
}

/// The next library that has the name, after this one.
const NEXT: *mut c_void = -1isize as *mut c_void;
/// The program and all its libraries.
const ANY: *mut c_void = null_mut();
const SYS_FUTEX: c_long = 202;
const FUTEX_WAIT_PRIVATE: c_int = 128;
const FUTEX_WAKE_PRIVATE: c_int = 129;

static MAIN_THREAD: AtomicUsize = AtomicUsize::new(0);
/// The processor's thread, QEMU's global lock, and what the thread waits for when it has nothing to execute: all known
/// from its first sleep.
static PROCESSOR_THREAD: AtomicUsize = AtomicUsize::new(0);
static GLOBAL_LOCK: AtomicPtr<Mutex> = AtomicPtr::new(null_mut());
static HALTED: AtomicPtr<Condition> = AtomicPtr::new(null_mut());
/// 1 from where the processor's thread gives the global lock away to execute, until it wants it back.
static PROCESSOR_RUNS: AtomicU32 = AtomicU32::new(0);
/// 1 while the main thread waits for its turn.
static MAIN_WAITS: AtomicU32 = AtomicU32::new(0);
/// 1 while the main thread is about to get the global lock.
static MAIN_WANTS: AtomicU32 = AtomicU32::new(0);
/// Whom the processor's thread has yet to notify; -1 is nobody. Only that thread uses it. QEMU has three.
static UNTOLD: [AtomicI32; 8] = [const { AtomicI32::new(-1) }; 8];

/// A function of libc's that one of ours stands before, or of QEMU's own.
struct Symbol {
    name: &'static CStr,
    /// libc's: a condition's functions have an old version too, which must not be used.
    version: Option<&'static CStr>,
    found: AtomicPtr<c_void>,
}

static LOCK: Symbol = Symbol::of_libc(c"pthread_mutex_lock", c"GLIBC_2.2.5");
static UNLOCK: Symbol = Symbol::of_libc(c"pthread_mutex_unlock", c"GLIBC_2.2.5");
static WAIT: Symbol = Symbol::of_libc(c"pthread_cond_wait", c"GLIBC_2.3.2");
static WRITE: Symbol = Symbol::of_libc(c"write", c"GLIBC_2.2.5");
/// `CPUState *qemu_get_cpu(int index)`
static GET_PROCESSOR: Symbol = Symbol::of_qemu(c"qemu_get_cpu");
/// `bool cpu_can_run(CPUState *)`: neither it nor the machine is stopped or about to be.
static CAN_RUN: Symbol = Symbol::of_qemu(c"cpu_can_run");
/// `void icount_start_warp_timer(void)`: if all processors are idle, moves the clock on to the next timer.
static MOVE_CLOCK_ON: Symbol = Symbol::of_qemu(c"icount_start_warp_timer");
/// `bool qemu_clock_run_timers(QEMUClockType)`: whether any was due.
static RUN_TIMERS: Symbol = Symbol::of_qemu(c"qemu_clock_run_timers");
/// What an event's descriptor is written.
static ONE: u64 = 1;
/// `QEMU_CLOCK_VIRTUAL`
const VIRTUAL_CLOCK: c_int = 1;

/// What has not been looked for.
const UNKNOWN: *mut c_void = without_provenance_mut(1);

impl Symbol {
    const fn of_libc(name: &'static CStr, version: &'static CStr) -> Self {
        Self {
            name,
            version: Some(version),
            found: AtomicPtr::new(UNKNOWN),
        }
    }

    const fn of_qemu(name: &'static CStr) -> Self {
        Self {
            name,
            version: None,
            found: AtomicPtr::new(UNKNOWN),
        }
    }

    /// Looked up once; that takes none of the locks we stand before.
    fn find(&self) -> Option<*mut c_void> {
        let mut found = self.found.load(SeqCst);
        if found == UNKNOWN {
            // SAFETY: the strings end with zero; the handles are the documented pseudo-handles.
            found = unsafe {
                match self.version {
                    Some(version) => dlvsym(NEXT, self.name.as_ptr(), version.as_ptr()),
                    None => dlsym(ANY, self.name.as_ptr()),
                }
            };
            self.found.store(found, SeqCst);
        }
        (!found.is_null()).then_some(found)
    }

    /// One of libc's.
    fn get(&self) -> *mut c_void {
        // SAFETY: nothing can be done without libc.
        self.find().unwrap_or_else(|| unsafe { abort() })
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
    let is_mains = is_global && is(&MAIN_THREAD);
    if is_mains {
        MAIN_WANTS.store(1, SeqCst);
    }
    // SAFETY: the caller's promise.
    let result = unsafe { lock(mutex) };
    if is_mains {
        MAIN_WANTS.store(0, SeqCst);
    }
    match result {
        // SAFETY: we hold the lock.
        0 if is_mains => unsafe { wait_for_turn(mutex, lock) },
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

/// libc's `pthread_cond_wait`; it tells who is who, and an idle processor does not wait for the main loop.
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
        HALTED.store(condition, SeqCst);
        GLOBAL_LOCK.store(mutex, SeqCst);
    }
    if mutex == GLOBAL_LOCK.load(SeqCst) && is(&PROCESSOR_THREAD) {
        // Whoever waits for a condition looks again whether it must: a wait may end for no reason.
        // SAFETY: this is the processor's thread, and it holds the global lock.
        if condition == HALTED.load(SeqCst) && unsafe { pass_idle_time() } {
            return 0;
        }
        tell_all();
    }
    // SAFETY: this is libc's function of this type; the caller's promise.
    unsafe {
        let wait: Wait = transmute(WAIT.get());
        wait(condition, mutex)
    }
}

/// What the main loop does for an idle processor: moves its clock on to the next timer, and runs that. False when
/// nothing was due, or it is for the main loop to do: then there is something to wait for.
///
/// # Safety
/// Called by the processor's thread with the global lock held.
unsafe fn pass_idle_time() -> bool {
    let functions = [&GET_PROCESSOR, &CAN_RUN, &MOVE_CLOCK_ON, &RUN_TIMERS].map(Symbol::find);
    let [
        Some(get),
        Some(can_run),
        Some(move_clock_on),
        Some(run_timers),
    ] = functions
    else {
        return false;
    };
    // SAFETY: QEMU's functions of these types, which its own loops call under the same lock.
    unsafe {
        let get: unsafe extern "C" fn(c_int) -> *mut c_void = transmute(get);
        let can_run: unsafe extern "C" fn(*mut c_void) -> bool = transmute(can_run);
        let move_clock_on: unsafe extern "C" fn() = transmute(move_clock_on);
        let run_timers: unsafe extern "C" fn(c_int) -> bool = transmute(run_timers);
        let processor = get(0);
        if MAIN_WANTS.load(SeqCst) == 1 || processor.is_null() || !can_run(processor) {
            return false;
        }
        move_clock_on();
        run_timers(VIRTUAL_CLOCK)
    }
}

/// libc's `write`; but whom the processor's thread notifies is told when that thread sleeps.
///
/// # Safety
/// As libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn write(file: c_int, bytes: *const c_void, count: usize) -> isize {
    // An event's descriptor is written a one, eight bytes long; what else the processor's thread writes is the console.
    // SAFETY: the caller's promise: there are as many bytes.
    let is_event = count == 8 && unsafe { bytes.cast::<u64>().read_unaligned() } == 1;
    if is_event && is(&PROCESSOR_THREAD) && keep_untold(file) {
        return 8;
    }
    // SAFETY: this is libc's function of this type; the caller's promise.
    unsafe {
        let write: Write = transmute(WRITE.get());
        write(file, bytes, count)
    }
}

/// Notes that `file` is to be notified, once however often. False when there are too many.
fn keep_untold(file: c_int) -> bool {
    let mut places = UNTOLD.iter();
    places.any(|place| match place.load(SeqCst) {
        -1 => {
            place.store(file, SeqCst);
            true
        }
        other => other == file,
    })
}

/// Notifies whoever has not been yet.
fn tell_all() {
    for place in &UNTOLD {
        let file = place.swap(-1, SeqCst);
        if file == -1 {
            return;
        }
        // As QEMU does, it is left at that if there is nobody any more.
        // SAFETY: this is libc's function of this type, and the number lives through the call.
        unsafe {
            let write: Write = transmute(WRITE.get());
            write(file, (&raw const ONE).cast(), 8);
        }
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // SAFETY: nothing here panics; if it did, QEMU must not go on.
    unsafe { abort() }
}
