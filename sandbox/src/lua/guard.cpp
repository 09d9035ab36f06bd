// The border between panics and errors of Lua's, see guard.rs.
//
// Luau raises errors as C++ exceptions. Rust catches panics, and ends the process where it meets an exception instead. So exceptions
// are taken off the stack here, below the place where panics are caught, and thrown again above it. Panics pass: no handler here is for them.

#include <exception>
#include <new>
#include <utility>

static_assert(sizeof(std::exception_ptr) == sizeof(void*) && alignof(std::exception_ptr) == alignof(void*));

// Calls the function. Answers whether it raised; what it raised is put into the place then.
extern "C" bool sandbox_guard_call(void (*work)(void*), void* about, void** raised) {
    try {
        work(about);
        return false;
    } catch (const std::exception&) {
        new (raised) std::exception_ptr(std::current_exception());
        return true;
    }
}

// Throws what a call has raised, and empties its place.
extern "C" void sandbox_guard_raise(void** raised) {
    auto* kept = reinterpret_cast<std::exception_ptr*>(raised);
    std::exception_ptr error = std::move(*kept);
    kept->~exception_ptr();
    std::rethrow_exception(std::move(error));
}
