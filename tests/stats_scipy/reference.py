"""Reads one question a line and answers each with what scipy says, in the same order.

    normal_upper Z            t_two_sided T DF           chi_square_upper X DF
    f_upper F DF1 DF2         t_two_sided_quantile P DF  normal_two_sided_quantile P
    chi_square_point P DF                                (an x to ask about next)
    welch N1 S1 Q1 N2 S2 Q2   (p, difference, df, low, high of scipy's ttest_ind_from_stats)
"""

import sys

from scipy import stats


def welch(n1, s1, q1, n2, s2, q2):
    def arm(n, s, q):
        return s / n, ((q - s * s / n) / (n - 1)) ** 0.5, n

    result = stats.ttest_ind_from_stats(*arm(n2, s2, q2), *arm(n1, s1, q1), equal_var=False)
    first, second = arm(n1, s1, q1), arm(n2, s2, q2)
    variances = [first[1] ** 2 / n1, second[1] ** 2 / n2]
    error = sum(variances) ** 0.5
    df = error**4 / (variances[0] ** 2 / (n1 - 1) + variances[1] ** 2 / (n2 - 1))
    half = stats.t.isf(0.025, df) * error
    difference = second[0] - first[0]
    return result.pvalue, difference, df, difference - half, difference + half


QUESTIONS = {
    "normal_upper": stats.norm.sf,
    "t_two_sided": lambda t, df: 2 * stats.t.sf(t, df),
    "chi_square_upper": stats.chi2.sf,
    "f_upper": stats.f.sf,
    "t_two_sided_quantile": lambda p, df: stats.t.isf(p / 2, df),
    "normal_two_sided_quantile": lambda p: stats.norm.isf(p / 2),
    "chi_square_point": stats.chi2.isf,
    "welch": welch,
}

for line in sys.stdin:
    name, *numbers = line.split()
    answer = QUESTIONS[name](*map(float, numbers))
    numbers = answer if isinstance(answer, tuple) else (answer,)
    print(*(repr(float(number)) for number in numbers))
