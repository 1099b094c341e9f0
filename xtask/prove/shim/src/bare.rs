//! What the standard library would do. Without it all code that runs is in this library, a panic is one address, and
//! memory is given out at addresses that do not depend on the lengths asked for.

use core::alloc::{GlobalAlloc, Layout};
use core::arch::asm;
use core::cell::UnsafeCell;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicUsize, Ordering};

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    panicked()
}

/// Where every panic ends.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn panicked() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// Copies bytes, as the C library would.
///
/// # Safety
/// `from` and `to` are `len` bytes each, which do not overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    // SAFETY: the caller's. One instruction, as the compiler would make a loop a call of this function.
    unsafe {
        asm!("rep movsb", inout("rcx") len => _, inout("rdi") to => _, inout("rsi") from => _, options(nostack));
    }
    to
}

/// How many allocations a call can make, and how long each can be.
const SLOTS: usize = 16;
const SLOT_LEN: usize = 256;

/// Gives every allocation a slot of its own, and takes none back. A longer one fails, which is a panic.
#[repr(align(64))]
struct Slots {
    memory: UnsafeCell<[[u8; SLOT_LEN]; SLOTS]>,
    used: AtomicUsize,
}

// SAFETY: one thread calls.
unsafe impl Sync for Slots {}

#[global_allocator]
static ALLOCATOR: Slots = Slots { memory: UnsafeCell::new([[0; SLOT_LEN]; SLOTS]), used: AtomicUsize::new(0) };

// SAFETY: no two allocations have the same slot, a slot is long enough, and 64 is the greatest alignment in use.
unsafe impl GlobalAlloc for Slots {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let slot = self.used.load(Ordering::Relaxed);
        if layout.size() > SLOT_LEN || slot == SLOTS {
            return core::ptr::null_mut();
        }
        self.used.store(slot + 1, Ordering::Relaxed);
        // SAFETY: there are more slots than this.
        unsafe { self.memory.get().cast::<u8>().add(slot * SLOT_LEN) }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}

    /// The bytes stay where they are, as a slot has room.
    unsafe fn realloc(&self, slot: *mut u8, _: Layout, new_size: usize) -> *mut u8 {
        if new_size > SLOT_LEN { core::ptr::null_mut() } else { slot }
    }
}
