// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <mutex>

// Clang's thread-safety annotations, so that the compiler proves what is guarded; nothing elsewhere.
#if defined(__clang__)
#define SHEAF_THREAD(x) __attribute__((x))
#else
#define SHEAF_THREAD(x)
#endif
#define GUARDED_BY(x) SHEAF_THREAD(guarded_by(x))
#define REQUIRES(...) SHEAF_THREAD(requires_capability(__VA_ARGS__))

namespace sheaf {

class SHEAF_THREAD(capability("mutex")) Mutex {
public:
    void lock() SHEAF_THREAD(acquire_capability()) { mutex_.lock(); }
    void unlock() SHEAF_THREAD(release_capability()) { mutex_.unlock(); }

private:
    friend class CondVar;
    std::mutex mutex_;
};

class SHEAF_THREAD(scoped_lockable) MutexLock {
public:
    explicit MutexLock(Mutex& mutex) SHEAF_THREAD(acquire_capability(mutex)) : mutex_(mutex) { mutex_.lock(); }
    ~MutexLock() SHEAF_THREAD(release_capability()) { mutex_.unlock(); }
    MutexLock(const MutexLock&) = delete;
    MutexLock& operator=(const MutexLock&) = delete;

private:
    Mutex& mutex_;
};

class CondVar {
public:
    // The caller holds the mutex and asks again in a loop: wake-ups may be spurious.
    void wait(Mutex& mutex) REQUIRES(mutex) {
        std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
        condition_.wait(lock);
        lock.release();
    }
    // As wait, at most `limit`.
    template <typename D>
    void wait_for(Mutex& mutex, D limit) REQUIRES(mutex) {
        std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
        condition_.wait_for(lock, limit);
        lock.release();
    }
    void notify_one() { condition_.notify_one(); }
    void notify_all() { condition_.notify_all(); }

private:
    std::condition_variable condition_;
};

}  // namespace sheaf
