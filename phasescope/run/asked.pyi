# Written by `make stubs`: the methods of runs that questions offer, for type checkers and editors.
from pandas import DataFrame

class Asked:
    def convergence(self) -> DataFrame:
        """CKA of every site to its final state, per size, seed, step, layer and head, with intervals."""
    def settling(self) -> DataFrame:
        """The step from which every site stays at or over τ of its final state, with intervals."""
    def effective_rank(self) -> DataFrame:
        """Effective and proportional rank of every weight matrix, circuit and site."""
    def norms(self) -> DataFrame:
        """Norms, condition number and stable rank of each matrix and circuit, per head where there are heads."""
    def similarity(self) -> DataFrame:
        """How alike every site is to its final state, to the step before, to the next layer, to other seeds
        and to the next larger size, by several measures, with intervals; `shuffled`: the same where samples
        do not match; `first`: at the first step."""
    def geometry(self) -> DataFrame:
        """Dimensions, anisotropy, sparsity and norm of each site per size, seed and step, with intervals;
        `shuffled`: the same where features come from different samples."""
    def neighbours(self) -> DataFrame:
        """Share of each sample's nearest neighbours at a site that are its nearest at the last step, at the
        step before, and in the other seeds; `shuffled`: of neighbours of other samples."""
    def probing(self) -> DataFrame:
        """Accuracy of a linear probe on held-out sequences, selectivity and bits per label, of each site and
        label per size, seed and step."""
    def surprisal(self) -> DataFrame:
        """Mean surprisal (nats per token), perplexity and entropy per size, seed and step, with intervals."""
    def seed_divergence(self) -> DataFrame:
        """Expected KL between seeds (nats) per size and step, with intervals."""
    def gradients(self) -> DataFrame:
        """Norm, ratio to the weight, rank and cosines of every site's gradient; empty if none was captured."""
    def trajectories(self) -> DataFrame:
        """Share of tokens of each class of trend per size, seed and part of training, with intervals."""
    def heuristics(self) -> DataFrame:
        """Correlation of predictions with n-grams and similarity per size, seed and step, with intervals."""
    def agreement(self) -> DataFrame:
        """How alike the predictions of seeds and sizes are per step: correlations with intervals."""
    def minimal_pairs(self) -> DataFrame:
        """Accuracy and margin on minimal pairs per paradigm, method, size, seed and step, with intervals."""
    def noise(self) -> DataFrame:
        """Perplexity of corrupted and decoded text per size, seed and step, and its ratio to clean, with
        intervals."""
    def multiple_choice(self) -> DataFrame:
        """Accuracy and option perplexity per task, size, seed and step, with intervals."""
    def in_context_learning(self) -> DataFrame:
        """Loss late in the context minus loss early in it per size, seed and step, with intervals."""
    def experts(self) -> DataFrame:
        """How evenly a layer uses its experts, and how many of a token's are those of the last step."""
    def heads(self) -> DataFrame:
        """What each head looks at where random tokens are read twice; `twins`: where nothing repeats."""
    def lens(self) -> DataFrame:
        """The lens at each layer per size, seed and step, of the logit and of the tuned lens; `shuffled`: the
        same beside the prediction and the target of another token."""
    def learning_coefficient(self) -> DataFrame:
        """The local learning coefficient of all weights, a layer or a head per size, seed and step, with what
        says whether it can be believed."""
    def evaluations(self) -> DataFrame:
        """What was measured elsewhere and imported, or by `phasescope evaluate`; empty where nothing was."""
    def phases(self) -> DataFrame:
        """The phases of each behavioural curve per size and seed, and of the mean of the seeds, with
        intervals."""
    def link(self) -> DataFrame:
        """Which share of each layer's moving falls into each behavioural phase."""
