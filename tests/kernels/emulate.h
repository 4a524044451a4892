// Runs CUDA kernels on a CPU: the threads of a block are fibers, which take turns at barriers.
// Covers what the kernels use, and reports what a GPU would let pass or hang on.
#include <math.h>
#include <string.h>
#include <ucontext.h>

#include <algorithm>
#include <array>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __shared__ static
#define __launch_bounds__(...)
#define __threadfence()
#define EMULATED
#define SHARED(name) real *const name = reinterpret_cast<real *>(machine.shared.data())
#define PREFETCH(address) (void)(address)

struct dim3 {
    unsigned x, y, z;
};
static dim3 threadIdx, blockIdx, blockDim, gridDim;

struct Barrier {
    unsigned waiting = 0, generation = 0;
};

static struct {
    std::vector<ucontext_t> fibers;
    std::vector<char> alive, stacks, shared;
    std::vector<double> exchange;
    std::vector<std::array<unsigned, 6>> factors;
    std::vector<Barrier> warps;
    Barrier block;
    ucontext_t scheduler;
    std::function<void()> body;
    unsigned here, threads, live, moves;  // moves: arrivals at barriers, and threads that ended
    const char *fault;
} machine;

constexpr size_t GUARD = 256;  // bytes behind the shared memory, which must stay as they are

// Numbers that a GPU reads at a time, and only from where their size divides the address.
static void read_together(const void *from, size_t size)
{
    size_t address;  // of which the compiler, too, believes that the size divides it
    asm("" : "=r"(address) : "0"(from));
    if (address % size) machine.fault = "numbers read at a time from where they may not lie";
}

struct alignas(8) float2 {
    float x, y;

    float2(const float2 &other) : x(other.x), y(other.y) { read_together(&other, 8); }
};
struct alignas(16) float4 {
    float x, y, z, w;

    float4(float x, float y, float z, float w) : x(x), y(y), z(z), w(w) {}
    float4 &operator=(const float4 &other)
    {
        read_together(&other, 16);
        x = other.x, y = other.y, z = other.z, w = other.w;
        return *this;
    }
};

static void meet(Barrier &barrier, unsigned size)
{
    const unsigned mine = barrier.generation, here = machine.here;
    ++machine.moves;
    if (++barrier.waiting == size) {
        barrier.waiting = 0;
        ++barrier.generation;
    }
    while (barrier.generation == mine && !machine.fault)
        swapcontext(&machine.fibers[here], &machine.scheduler);
}

static inline void __syncthreads() { meet(machine.block, machine.threads); }

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int distance)
{
    const unsigned here = machine.here, other = here ^ distance;
    if (mask != 0xffffffff || machine.threads % 32) machine.fault = "a shuffle in part of a warp";
    Barrier &warp = machine.warps[here / 32];
    machine.exchange[here] = value;
    meet(warp, 32);
    const T theirs = T(machine.exchange[other % machine.exchange.size()]);
    meet(warp, 32);
    return theirs;
}

static inline unsigned __float_as_uint(float x)
{
    unsigned bits;
    memcpy(&bits, &x, sizeof bits);
    return x == x ? bits : 0x7fffffff;  // the NaN that a GPU computes, of whatever kind it was here
}

static inline float __uint_as_float(unsigned bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// A tensor core's d += a b, as PTX says which thread has which numbers: of factors 19 bits count.
static inline void multiply_add(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2])
{
    const unsigned here = machine.here, first = here / 32 * 32, lane = here % 32;
    if (machine.threads % 32) machine.fault = "a product of tensor cores in part of a warp";
    Barrier &warp = machine.warps[here / 32];
    machine.factors[here] = {a[0], a[1], a[2], a[3], b[0], b[1]};
    meet(warp, 32);
    for (unsigned e = 0; e < 4; ++e) {
        const unsigned row = lane / 4 + 8 * (e / 2), column = 2 * (lane % 4) + e % 2;
        double sum = d[e];
        for (unsigned k = 0; k < 8; ++k) {
            const unsigned left = machine.factors[first + row % 8 * 4 + k % 4][row / 8 + 2 * (k / 4)];
            const unsigned right = machine.factors[first + column * 4 + k % 4][4 + k / 4];
            sum += double(__uint_as_float(left & 0xffffe000)) * __uint_as_float(right & 0xffffe000);
        }
        d[e] = float(sum);
    }
    meet(warp, 32);
}

template <class T>
T sinpi(T x) { return T(sin(M_PI * x)); }

template <class T>
T cospi(T x) { return T(cos(M_PI * x)); }

static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b)
{
    return static_cast<unsigned __int128>(a) * b >> 64;
}

static inline unsigned atomicInc(unsigned *count, unsigned limit)
{
    const unsigned old = *count;
    *count = old >= limit ? 0 : old + 1;
    return old;
}

static void fiber()
{
    machine.body();
    machine.alive[machine.here] = 0;
    --machine.live;
    ++machine.moves;
}

// One warp as far as it comes without the others, so that whoever reads what they have yet to write
// finds it missing.
static void run_warp(unsigned warp, bool reverse)
{
    const unsigned first = 32 * warp, n = std::min(32u, machine.threads - first);
    unsigned before;
    do {
        before = machine.moves;
        for (unsigned turn = 0; turn < n && !machine.fault; ++turn) {
            const unsigned k = first + (reverse ? n - 1 - turn : turn);
            if (!machine.alive[k]) continue;
            machine.here = k;
            threadIdx = {k % blockDim.x, k / blockDim.x % blockDim.y,
                         k / (blockDim.x * blockDim.y)};
            swapcontext(&machine.scheduler, &machine.fibers[k]);
        }
    } while (machine.moves != before && !machine.fault);
}

static void run_block(bool reverse)
{
    const size_t stack = 32768;
    std::fill(machine.shared.begin(), machine.shared.end(), char(0xff));  // of numbers, NaN
    const unsigned n = machine.threads;
    machine.fibers.resize(n);
    machine.stacks.resize(n * stack);
    machine.alive.assign(n, 1);
    machine.exchange.assign(n, 0);
    machine.factors.resize(n);
    machine.warps.assign((n + 31) / 32, Barrier());
    machine.block = Barrier();
    machine.live = n;
    for (unsigned k = 0; k < n; ++k) {
        getcontext(&machine.fibers[k]);
        machine.fibers[k].uc_stack.ss_sp = &machine.stacks[k * stack];
        machine.fibers[k].uc_stack.ss_size = stack;
        machine.fibers[k].uc_link = &machine.scheduler;
        makecontext(&machine.fibers[k], fiber, 0);
    }
    while (machine.live && !machine.fault) {
        const unsigned before = machine.moves, warps = (n + 31) / 32;
        for (unsigned turn = 0; turn < warps; ++turn)
            run_warp(reverse ? warps - 1 - turn : turn, reverse);
        if (machine.moves == before)
            machine.fault = "threads wait at a barrier that others do not reach";
    }
    for (size_t k = machine.shared.size() - GUARD; k < machine.shared.size(); ++k)
        if (machine.shared[k] != char(0xff)) machine.fault = "more shared memory than was given";
}

template <class T>
constexpr char kind()
{
    return std::is_pointer<T>::value ? 'p' : std::is_same<T, double>::value ? 'd' : 'i';
}

// Returns what is wrong, or null. `kinds` says what was passed: pointers, integers, doubles.
template <class... A, size_t... k>
const char *run(void (*kernel)(A...), const char *kinds, void **arguments, const unsigned *grid,
                const unsigned *block, unsigned shared, bool reverse, std::index_sequence<k...>)
{
    const char expected[] = {kind<A>()..., 0};
    if (std::string(kinds) != expected) return "the arguments do not fit the kernel's";
    machine.threads = block[0] * block[1] * block[2];
    if (machine.threads > 1024 || block[2] > 64) return "too many threads in a block";
    if (grid[1] > 65535 || grid[2] > 65535) return "the grid is too large";
    machine.fault = nullptr;
    machine.shared.resize(shared + GUARD);
    machine.body = [&] { kernel(*static_cast<A *>(arguments[k])...); };
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {block[0], block[1], block[2]};
    const unsigned blocks = grid[0] * grid[1] * grid[2];
    for (unsigned turn = 0; turn < blocks && !machine.fault; ++turn) {
        const unsigned b = reverse ? blocks - 1 - turn : turn;
        blockIdx = {b % grid[0], b / grid[0] % grid[1], b / (grid[0] * grid[1])};
        run_block(reverse);
    }
    return machine.fault;
}

#define LAUNCHER(kernel)                                                                    \
    template <class... A>                                                                   \
    static std::index_sequence_for<A...> indices_##kernel(void (*)(A...));                  \
    extern "C" const char *launch_##kernel(const char *kinds, void **arguments,             \
                                           const unsigned *grid, const unsigned *block,     \
                                           unsigned shared, int reverse)                    \
    {                                                                                       \
        return run(kernel, kinds, arguments, grid, block, shared, reverse,                  \
                   decltype(indices_##kernel(kernel)){});                                   \
    }
